// SPDX-License-Identifier: BSD-3-Clause
#include "augmenter.h"

#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <variant>

#include "elastic.h"
#include "mixing.h"
#include "pixels.h"
#include "sampling.h"

namespace nervure::augment {

// Bytes stay between 0 and 255; other numbers may become what they will.
template <class T>
Limits<T> limits_of(const Source& source) {
  constexpr T most = std::numeric_limits<T>::infinity();
  if (source.element != Element::uint8) return {-most, most};
  return {0, static_cast<T>(255 * source.scale)};
}

using Geometry = std::variant<Shift, Flip, Rotate, Scale, Shear>;
using Pixels = std::variant<Jitter, Cutout>;
using Mixing = std::variant<Mixup, CutMix>;

// A change with its probability and the keys of its random numbers.
template <class Change>
struct Entry {
  Change change;
  double probability = 1;
  uint32_t key = 0, field_key = 0;
  [[nodiscard]] bool chosen(const Draws& u) const { return u[0] < probability; }
};

// Changes of place in a row, made by one interpolation; elastic distortion ends the row.
template <class T>
struct Move {
  std::vector<Entry<Geometry>> parts;
  std::optional<Entry<Elastic<T>>> elastic;
  T fill = 0;
  Border border = Border::constant;
};

template <class T>
class Augmenter<T>::Changes {
 public:
  Changes(const std::vector<Attributes>& changes, const Shape& shape)
      : extent_{shape.at(0), shape.at(1), shape.at(2)} {
    for (const Attributes& one : changes) add(one);
  }

  [[nodiscard]] bool mixes() const { return !mixing_.empty(); }
  [[nodiscard]] int64_t scratch() const {
    return 2 * framed_size() + Elastic<T>::scratch(extent_);
  }

  [[nodiscard]] double rows(const Source& source, Rows some, const Moment& first, T* x,
                            T* scratch) const {
    Moment at = first;
    for (int64_t i = 0; i < some.count; ++i, ++at.row)
      row(at, source, some[i], plain(x, i), scratch);
    double share = 1;
    for (const Entry<Mixing>& entry : mixing_) {
      const Draws u = draw(first, entry.key);
      if (some.count < 2 || !entry.chosen(u)) continue;
      const double kept = mix(entry, first, u, plain(x, 0), plain(x, 1));
      share = kept * share + (1 - kept) * (1 - share);
    }
    return share;
  }

 private:
  // ---- reading ----------------------------------------------------------------------

  void add(const Attributes& one) {
    const std::string& name = one.word("type");
    if (auto found = read_as<Geometry>(name, one)) {
      move(one).parts.push_back(entry(std::move(*found), one));
    } else if (name == Elastic<T>::name) {
      move(one).elastic = entry(Elastic<T>(one), one);
    } else if (auto pixels = read_as<Pixels>(name, one)) {
      steps_.push_back(entry(std::move(*pixels), one));
    } else if (auto mixing = read_as<Mixing>(name, one)) {
      mixing_.push_back(entry(std::move(*mixing), one));
    } else {
      throw std::invalid_argument("[engine] there is no augmentation '" + name + "'");
    }
  }

  template <class Variant>
  static std::optional<Variant> read_as(const std::string& name, const Attributes& one) {
    return [&]<class... Kinds>(std::variant<Kinds...>*) {
      std::optional<Variant> found;
      (void)((name == Kinds::name && (found = Kinds::read(one), true)) || ...);
      return found;
    }(static_cast<Variant*>(nullptr));
  }

  template <class Change>
  static Entry<Change> entry(Change change, const Attributes& one) {
    return {std::move(change), one.number("probability"),
            static_cast<uint32_t>(one.integer("key")),
            static_cast<uint32_t>(one.integer("field_key"))};
  }

  // The row of moves that goes on here, or a new one.
  Move<T>& move(const Attributes& one) {
    const T fill = static_cast<T>(one.number("fill"));
    auto* last = steps_.empty() ? nullptr : std::get_if<Move<T>>(&steps_.back());
    const Border border =
        one.has("border") ? border_of(one.word("border")) : Border::constant;
    const bool alike = last != nullptr && last->fill == fill && last->border == border;
    if (alike && !last->elastic) return *last;
    steps_.push_back(Move<T>{.parts = {}, .elastic = {}, .fill = fill, .border = border});
    moves_ = true;
    return std::get<Move<T>>(steps_.back());
  }

  // ---- one row ----------------------------------------------------------------------

  [[nodiscard]] int64_t framed_size() const {
    return (extent_.height + 2) * (extent_.width + 2) * extent_.channels;
  }
  Picture<T> plain(T* x, int64_t i) const {
    return {x + i * extent_.size(), extent_.width * extent_.channels, extent_};
  }
  // A picture in scratch with room for its frame.
  Picture<T> framed(T* scratch, int which) const {
    const int64_t stride = (extent_.width + 2) * extent_.channels;
    return {scratch + which * framed_size() + stride + extent_.channels, stride, extent_};
  }

  void row(const Moment& at, const Source& source, int64_t image, const Picture<T>& to,
           T* scratch) const {
    const Limits<T> limits = limits_of<T>(source);
    int which = 0;
    Picture<T> now = moves_ ? framed(scratch, which) : to;
    for (int64_t y = 0; y < extent_.height; ++y)
      read_row(source, image, {y * to.stride, (y + 1) * to.stride}, now.row(y));
    for (const Step& step : steps_) {
      if (const auto* moves = std::get_if<Move<T>>(&step)) {
        const Picture<T> next = framed(scratch, 1 - which);
        if (!sample(*moves, at, now, next, scratch + 2 * framed_size())) continue;
        now = next;
        which = 1 - which;
      } else {
        const auto& entry = std::get<Entry<Pixels>>(step);
        const Draws u = draw(at, entry.key);
        if (!entry.chosen(u)) continue;
        std::visit([&](const auto& change) { change.apply(now, u, limits); }, entry.change);
      }
    }
    if (now.data == to.data) return;
    for (int64_t y = 0; y < extent_.height; ++y)
      std::copy_n(now.row(y), to.stride, to.row(y));
  }

  // Returns whether anything was moved.
  bool sample(const Move<T>& moves, const Moment& at, const Picture<T>& from,
              const Picture<T>& to, T* fields) const {
    Affine map;
    for (const Entry<Geometry>& entry : moves.parts) {
      const Draws u = draw(at, entry.key);
      if (!entry.chosen(u)) continue;
      map = map.after(
          std::visit([&](const auto& c) { return c.source(u, extent_); }, entry.change));
    }
    const T *dy = nullptr, *dx = nullptr;
    if (moves.elastic && moves.elastic->chosen(draw(at, moves.elastic->key))) {
      moves.elastic->change.displace(at, moves.elastic->field_key, extent_, fields);
      dy = fields, dx = fields + extent_.pixels();
    }
    if (map.identity() && dy == nullptr) return false;
    frame(from, moves.fill);
    Sampler<T>(from, to, map, dy, dx).run(moves.border);
    return true;
  }

  static double mix(const Entry<Mixing>& entry, const Moment& at, const Draws& u,
                    const Picture<T>& one, const Picture<T>& other) {
    const auto numbers = uniform_numbers<Beta::numbers>(at, entry.field_key);
    return std::visit(
        [&](const auto& change) {
          const double share = Beta(numbers.data())(change.alpha);
          return change.mix(one, other, share, u);
        },
        entry.change);
  }

  using Step = std::variant<Move<T>, Entry<Pixels>>;
  Extent extent_;
  std::vector<Step> steps_;
  std::vector<Entry<Mixing>> mixing_;
  bool moves_ = false;
};

template <class T>
Augmenter<T>::Augmenter(const std::vector<Attributes>& changes, const Shape& shape)
    : changes_(std::make_unique<const Changes>(changes, shape)) {}
template <class T>
Augmenter<T>::Augmenter(Augmenter&&) noexcept = default;
template <class T>
Augmenter<T>::~Augmenter() = default;

template <class T>
bool Augmenter<T>::mixes() const {
  return changes_->mixes();
}
template <class T>
int64_t Augmenter<T>::scratch() const {
  return changes_->scratch();
}
template <class T>
double Augmenter<T>::rows(const Source& source, Rows some, const Moment& first, T* x,
                          T* scratch) const {
  return changes_->rows(source, some, first, x, scratch);
}

template class Augmenter<float>;
template class Augmenter<double>;

}  // namespace nervure::augment
