// Arrays as they come from Python: checked views through the buffer protocol, which keeps strides
// of any sign and read-only memory, and new arrays to give back.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <algorithm>
#include <cstring>
#include <initializer_list>
#include <optional>
#include <string>

#include "kernel.hpp"

namespace mixtura {

namespace nb = nanobind;

using NewArray = nb::ndarray<nb::numpy, double>;

// What the elements of an array may be.
enum class Element { float64, float32, int64, int32, other };

class ArrayView {
  public:
    ArrayView(nb::handle object, const char* name, bool writable = false) : name_(name) {
        int flags = PyBUF_STRIDES | PyBUF_FORMAT | (writable ? PyBUF_WRITABLE : 0);
        if (PyObject_GetBuffer(object.ptr(), &view_, flags) != 0) {
            PyErr_Clear();
            refuse(writable ? "must be a writable array" : "must be an array");
        }
    }
    ~ArrayView() { PyBuffer_Release(&view_); }
    ArrayView(const ArrayView&) = delete;
    ArrayView& operator=(const ArrayView&) = delete;

    int n_dimensions() const { return view_.ndim; }
    Index size(int axis) const { return view_.shape[axis]; }
    Index stride(int axis) const { return view_.strides[axis]; }
    void* data() const { return view_.buf; }

    Element element() const {
        const char* format = view_.format ? view_.format : "B";
        if (*format == '<' || *format == '=' || *format == '@') ++format;
        if (std::strlen(format) != 1) return Element::other;
        bool wide = view_.itemsize == 8;
        if (*format == 'd') return Element::float64;
        if (*format == 'f') return Element::float32;
        if (std::strchr("ilq", *format)) return wide ? Element::int64 : Element::int32;
        return Element::other;
    }

    // C-contiguous numbers of one type and shape, or ValueError.
    template <class T>
    T* contiguous(Element element, const char* type, std::initializer_list<Index> shape) const {
        bool fits = this->element() == element && view_.ndim == int(shape.size()) &&
                    std::equal(shape.begin(), shape.end(), view_.shape) && is_contiguous();
        if (!fits) refuse("must be a C-contiguous " + (type + (" array of shape " + text(shape))));
        return static_cast<T*>(view_.buf);
    }

    [[noreturn]] void refuse(const std::string& needed) const {
        throw nb::value_error((std::string(name_) + " " + needed).c_str());
    }

  private:
    bool is_contiguous() const {
        Index expected = view_.itemsize;
        for (int axis = view_.ndim; axis-- > 0; expected *= view_.shape[axis]) {
            if (view_.shape[axis] > 1 && view_.strides[axis] != expected) return false;
        }
        return true;
    }
    static std::string text(std::initializer_list<Index> shape) {
        std::string out = "(";
        for (Index n : shape) out += std::to_string(n) + ", ";
        if (shape.size() > 1) out.resize(out.size() - 2);
        if (shape.size() == 1) out.pop_back();
        return out + ")";
    }

    const char* name_;
    Py_buffer view_{};
};

// Rows of float32 or float64 numbers with any strides.
inline Matrix matrix_of(const ArrayView& array) {
    Element element = array.element();
    bool single = element == Element::float32;
    if (array.n_dimensions() != 2 || (!single && element != Element::float64)) {
        array.refuse("must be a float64 or float32 array with 2 dimensions");
    }
    return {static_cast<const char*>(array.data()), array.size(0), array.size(1), array.stride(0),
            array.stride(1), single};
}

// A view of an array that may be None; `get` gives null then.
class OptionalView {
  public:
    OptionalView(nb::handle object, const char* name, bool writable = false) {
        if (!object.is_none()) view_.emplace(object, name, writable);
    }
    template <class T>
    T* get(Element element, const char* type, std::initializer_list<Index> shape) const {
        return view_ ? view_->contiguous<T>(element, type, shape) : nullptr;
    }

  private:
    std::optional<ArrayView> view_;
};

// A copy of numbers as a new NumPy array.
inline NewArray new_array(const double* values, std::initializer_list<std::size_t> shape) {
    std::size_t n = 1;
    for (std::size_t size : shape) n *= size;
    double* data = new double[n > 0 ? n : 1];
    nb::capsule owner(data, [](void* p) noexcept { delete[] static_cast<double*>(p); });
    std::copy(values, values + n, data);
    return NewArray(data, shape.size(), shape.begin(), owner);
}

}  // namespace mixtura
