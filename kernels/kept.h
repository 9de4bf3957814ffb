#pragma once
// What an operator keeps from forward for backward besides tensors, whole: a list of copied members
// forgets the ones that are added later. Includes LibTorch: for .cpp files only.

#include <torch/csrc/autograd/custom_function.h>

#include <utility>

namespace veomni::kernels {

template <class T>
struct Kept : torch::CustomClassHolder {
  explicit Kept(T its_value) : value(std::move(its_value)) {}
  T value;
};

/// One value of an operator; tensors belong into save_for_backward, which knows cycles.
template <class T>
void keep(torch::autograd::AutogradContext* context, T value) {
  context->saved_data["kept"] =
      c10::IValue::make_capsule(c10::make_intrusive<Kept<T>>(std::move(value)));
}

/// What keep() was given, as long as the context lives. T is the type that it was given.
template <class T>
T& kept(torch::autograd::AutogradContext* context) {
  return static_cast<Kept<T>&>(*context->saved_data.at("kept").toCapsule()).value;
}

}  // namespace veomni::kernels
