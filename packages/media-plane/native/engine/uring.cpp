#include "uring.hpp"
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cerrno>
#include <cstring>

namespace sallyport::uring {
namespace {

constexpr long numberSetup = 425, numberEnter = 426, numberRegister = 427;

int enter(int fd, unsigned submit) {
  const long done = syscall(numberEnter, fd, submit, 0, 0, nullptr, 0);
  return done < 0 ? -errno : static_cast<int>(done);
}

int registers(int fd, unsigned what, void* argument, unsigned count) {
  const long done = syscall(numberRegister, fd, what, argument, count);
  return done < 0 ? -errno : static_cast<int>(done);
}

std::string refused(const char* what, int error) {
  return std::string(what) + ": " + std::strerror(error);
}

}  // namespace

Ring::~Ring() {
  if (fd_ >= 0) close(fd_);
  if (rings_ != nullptr) munmap(rings_, ringsSize_);
  if (sqes_ != nullptr) munmap(sqes_, sqesSize_);
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
  const uint32_t needed = featureSingleMmap | featureNoDrop | featureSkipSuccess;
  if ((parameters.features & needed) != needed) {
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
    const int done = enter(fd_, tail_ - submitted_);
    if (done == -EINTR || done == -EAGAIN) continue;
    if (done < 0) return done;
    submitted_ += static_cast<unsigned>(done);
  }
  return 0;
}

}  // namespace sallyport::uring
