#pragma once

namespace veomni {
class MpiSession;
namespace test {
/// The session of this test program.
MpiSession& mpi_session();
}  // namespace test
}  // namespace veomni
