#pragma once
// MPI's C interface. Its old C++ classes, which <mpi.h> would declare as well, need a library of
// their own.
#define OMPI_SKIP_MPICXX 1
#define MPICH_SKIP_MPICXX 1
#include <mpi.h>
