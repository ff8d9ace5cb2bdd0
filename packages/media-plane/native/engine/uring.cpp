#include "uring.hpp"
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cerrno>
#include <csignal>
#include <cstring>

namespace sallyport::uring {
namespace {

constexpr long numberSetup = 425, numberEnter = 426, numberRegister = 427;

int enter(int fd, unsigned submit, unsigned wait, unsigned flags, const void* argument, size_t size) {
  const long done = syscall(numberEnter, fd, submit, wait, flags, argument, size);
  return done < 0 ? -errno : static_cast<int>(done);
}

int registers(int fd, unsigned what, void* argument, unsigned count) {
  const long done = syscall(numberRegister, fd, what, argument, count);
  return done < 0 ? -errno : static_cast<int>(done);
}

void* anonymous(size_t size) {
  void* at = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  return at == MAP_FAILED ? nullptr : at;
}

std::string refused(const char* what, int error) {
  return std::string(what) + ": " + std::strerror(error);
}

}  // namespace

Ring::~Ring() {
  if (fd_ >= 0) close(fd_);
  if (rings_ != nullptr) munmap(rings_, ringsSize_);
  if (sqes_ != nullptr) munmap(sqes_, sqesSize_);
  if (bufferRing_ != nullptr) munmap(bufferRing_, bufferRingSize_);
  if (buffers_ != nullptr) munmap(buffers_, static_cast<size_t>(bufferCount_) * bufferSize_);
}

bool Ring::open(unsigned entries, unsigned completions, std::string& why) {
  Parameters parameters{};
  // Deferred task work (6.1): completions are worked off in batches, when this thread asks, not by an interrupt of it per packet.
  parameters.flags = setupCqSize | setupClamp | setupSubmitAll | setupSingleIssuer | setupDeferTaskrun | setupNoSqArray;
  parameters.cqEntries = completions;
  long fd = syscall(numberSetup, entries, &parameters);
  if (fd < 0 && errno == EINVAL) {
    std::memset(&parameters, 0, sizeof parameters);
    parameters.flags = setupCqSize | setupClamp | setupSubmitAll | setupSingleIssuer | setupDeferTaskrun;
    parameters.cqEntries = completions;
    fd = syscall(numberSetup, entries, &parameters);
  }
  if (fd < 0) {
    why = refused("io_uring_setup", errno) + (errno == EINVAL ? " (Linux 6.1 or newer is needed)" : "");
    return false;
  }
  fd_ = static_cast<int>(fd);
  features_ = parameters.features;
  const uint32_t needed = featureSingleMmap | featureNoDrop | featureExtArg | featureSkipSuccess;
  if ((features_ & needed) != needed) {
    why = "io_uring lacks features of Linux 6.1";
    return false;
  }
  const size_t sqEnd = parameters.sq.array + parameters.sqEntries * sizeof(uint32_t);
  const size_t cqEnd = parameters.cq.cqes + parameters.cqEntries * sizeof(Cqe);
  ringsSize_ = sqEnd > cqEnd ? sqEnd : cqEnd;
  void* rings = mmap(nullptr, ringsSize_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd_, offsetSq);
  if (rings == MAP_FAILED) return why = refused("mmap of the rings", errno), false;
  rings_ = rings;
  sqesSize_ = parameters.sqEntries * sizeof(Sqe);
  void* sqes = mmap(nullptr, sqesSize_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd_, offsetSqes);
  if (sqes == MAP_FAILED) return why = refused("mmap of the queue", errno), false;
  sqes_ = static_cast<Sqe*>(sqes);
  auto* base = static_cast<uint8_t*>(rings_);
  const auto at = [base](uint32_t offset) { return reinterpret_cast<uint32_t*>(base + offset); };
  sqEntries_ = parameters.sqEntries;
  sqMask_ = *at(parameters.sq.mask);
  sqHead_ = at(parameters.sq.head);
  sqTail_ = at(parameters.sq.tail);
  if ((parameters.flags & setupNoSqArray) == 0) {
    for (uint32_t index = 0; index < sqEntries_; ++index) at(parameters.sq.array)[index] = index;
  }
  cqHead_ = at(parameters.cq.head);
  cqTail_ = at(parameters.cq.tail);
  cqMask_ = *at(parameters.cq.mask);
  cqes_ = reinterpret_cast<Cqe*>(base + parameters.cq.cqes);
  return true;
}

bool Ring::provideBuffers(unsigned count, unsigned size, std::string& why) {
  bufferRingSize_ = count * sizeof(Buffer);
  bufferRing_ = static_cast<Buffer*>(anonymous(bufferRingSize_));
  buffers_ = static_cast<uint8_t*>(anonymous(static_cast<size_t>(count) * size));
  if (bufferRing_ == nullptr || buffers_ == nullptr) return why = refused("memory for receive buffers", errno), false;
  bufferCount_ = count;
  bufferSize_ = size;
  BufferRing ring{};
  ring.address = reinterpret_cast<uint64_t>(bufferRing_);
  ring.entries = count;
  const int done = registers(fd_, registerBufferRing, &ring, 1);
  if (done < 0) return why = refused("registering receive buffers", -done), false;
  for (unsigned id = 0; id < count; ++id) recycle(id);
  publishBuffers();
  return true;
}

void Ring::recycle(unsigned id) {
  Buffer& place = bufferRing_[bufferTail_ & (bufferCount_ - 1)];
  place.address = reinterpret_cast<uint64_t>(buffer(id));
  place.length = bufferSize_;
  place.id = static_cast<uint16_t>(id);
  ++bufferTail_;
}

void Ring::publishBuffers() { __atomic_store_n(&bufferRing_[0].tail, bufferTail_, __ATOMIC_RELEASE); }

bool Ring::sparseFiles(unsigned count) {
  RegisterFiles files{};
  files.count = count;
  files.flags = filesSparse;
  return registers(fd_, registerFiles2, &files, sizeof files) >= 0;
}

bool Ring::setFile(unsigned index, int fd) {
  UpdateFiles update{};
  update.offset = index;
  update.data = reinterpret_cast<uint64_t>(&fd);
  return registers(fd_, registerFilesUpdate, &update, 1) == 1;
}

Sqe* Ring::next() {
  if (tail_ - __atomic_load_n(sqHead_, __ATOMIC_ACQUIRE) == sqEntries_) return nullptr;
  Sqe* sqe = &sqes_[tail_ & sqMask_];
  ++tail_;
  std::memset(sqe, 0, sizeof *sqe);
  return sqe;
}

int Ring::submit() {
  __atomic_store_n(sqTail_, tail_, __ATOMIC_RELEASE);
  while (submitted_ != tail_) {
    const int done = enter(fd_, tail_ - submitted_, 0, 0, nullptr, 0);
    if (done == -EINTR || done == -EAGAIN) continue;
    if (done < 0) return done;
    submitted_ += static_cast<unsigned>(done);
  }
  return 0;
}

int Ring::submitAndWait(unsigned count, unsigned minimumUs, uint64_t timeoutNs) {
  Timespec timeout{static_cast<int64_t>(timeoutNs / 1'000'000'000), static_cast<int64_t>(timeoutNs % 1'000'000'000)};
  WaitArgument argument{};
  if ((features_ & featureMinimumWait) != 0) {
    argument.minimumWaitUs = minimumUs;
  } else if (minimumUs > 0) {
    // Older kernels: the bound of the batch is the time-out, and silence comes back here as often.
    timeout = {0, static_cast<int64_t>(minimumUs) * 1000};
  }
  argument.timeout = reinterpret_cast<uint64_t>(&timeout);
  __atomic_store_n(sqTail_, tail_, __ATOMIC_RELEASE);
  const unsigned flags = enterGetEvents | enterExtArg;
  const int done = enter(fd_, tail_ - submitted_, count, flags, &argument, sizeof argument);
  // What was consumed is told by the queue's head, also where the wait then ended by its time.
  submitted_ = __atomic_load_n(sqHead_, __ATOMIC_ACQUIRE);
  return done;
}

}  // namespace sallyport::uring
