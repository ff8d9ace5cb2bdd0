// Owns one AF_XDP socket: its four rings, before one receive queue of one interface. Frames that it is given it gives back: received,
// or sent and complete. One thread's alone. Knows no leg.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

#include "umem.hpp"
#include "xdp_abi.hpp"

namespace sallyport::xdp {

/** Of TX and completion; the other two have as many as they are given. */
inline constexpr uint32_t sendEntries = 2048;

/** One ring shared with the kernel. We produce (fill, TX) or consume (RX, completion). */
template <typename Item>
struct SharedRing {
  uint32_t* producer = nullptr;
  uint32_t* consumer = nullptr;
  uint32_t* flags = nullptr;
  Item* items = nullptr;
  void* mapping = nullptr;
  size_t octets = 0;
  /** A power of two. */
  uint32_t entries = 0;
  /** Our own place, told to the other side by `publish` or `release`. */
  uint32_t place = 0;

  Item& item(uint32_t at) { return items[at & (entries - 1)]; }
  uint32_t theirs(uint32_t const* at) const { return __atomic_load_n(at, __ATOMIC_ACQUIRE); }
  uint32_t room() const { return entries - (place - theirs(consumer)); }
  uint32_t waiting() const { return theirs(producer) - place; }
  void publish() { __atomic_store_n(producer, place, __ATOMIC_RELEASE); }
  void release() { __atomic_store_n(consumer, place, __ATOMIC_RELEASE); }
  bool needsWakeup() const { return (__atomic_load_n(flags, __ATOMIC_RELAXED) & ringNeedsWakeup) != 0; }
};

/** Why there is no socket of this kind, and what would help. */
std::string socketsRefused(int error);

class Socket {
 public:
  Socket() = default;
  ~Socket();
  Socket(Socket const&) = delete;
  Socket& operator=(Socket const&) = delete;

  /** So many frames wait for datagrams; `first` has registered the memory, null for the first one itself. 0, or the error and `why`. */
  int open(Umem& umem, uint32_t receiveEntries, Socket const* first, std::string& why);
  /** Zero-copy or copy as the flags say; those of the first hold for all. 0, or the error. */
  int bind(uint32_t interface, uint32_t queue, uint16_t flags, Socket const* first);

  int fd() const { return fd_; }
  /** Gives the kernel free frames to receive into. */
  void fill(Umem& umem);
  /** Takes back what was sent. */
  void reap(Umem& umem);
  /** False where the ring is full: the frame stays the caller's. */
  bool queue(uint64_t address, uint32_t length) {
    if (room_ == 0) {
      room_ = tx.room();
      if (room_ == 0) return false;
    }
    --room_;
    tx.item(tx.place) = {address, length, 0};
    ++tx.place;
    unsent_ = true;
    return true;
  }
  /** Makes the kernel send what is queued, as far as it can be done now. */
  void send();
  /** Frames the kernel has: to receive into, and to send. */
  uint32_t held() const { return filled_ + (tx.place - completed_); }
  bool unsent() const { return unsent_; }
  /** Datagrams dropped since the start for want of frames or of room. */
  uint64_t drops() const;

  SharedRing<Descriptor> rx;
  SharedRing<Descriptor> tx;
  /** After frames were taken out of `rx`. */
  void received(uint32_t count) { filled_ -= count; }

 private:
  int fd_ = -1;
  uint32_t room_ = 0, filled_ = 0, completed_ = 0;
  bool unsent_ = false;
  SharedRing<uint64_t> fill_;
  SharedRing<uint64_t> completion_;
};

}  // namespace sallyport::xdp
