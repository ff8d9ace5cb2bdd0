// Owns the io_uring records and numbers this engine uses, as the kernel's ABI fixes them (io_uring(7), io_uring_enter(2)), so that
// a build needs no kernel header of a certain age: what the running kernel has is asked at start.
#pragma once
#include <cstdint>

namespace sallyport::uring {

struct Sqe {
  uint8_t opcode;
  uint8_t flags;
  uint16_t ioprio;
  int32_t fd;
  uint64_t addr2;
  uint64_t addr;
  uint32_t len;
  uint32_t opFlags;
  uint64_t userData;
  uint16_t group;
  uint16_t personality;
  uint16_t addrLen;
  uint16_t pad0;
  uint64_t addr3;
  uint64_t pad1;
};
static_assert(sizeof(Sqe) == 64);

struct Cqe {
  uint64_t userData;
  int32_t result;
  uint32_t flags;
};
static_assert(sizeof(Cqe) == 16);

struct SqOffsets {
  uint32_t head, tail, mask, entries, flags, dropped, array, reserved;
  uint64_t userAddress;
};
struct CqOffsets {
  uint32_t head, tail, mask, entries, overflow, cqes, flags, reserved;
  uint64_t userAddress;
};
struct Parameters {
  uint32_t sqEntries, cqEntries, flags, sqCpu, sqIdle, features, wqFd, reserved[3];
  SqOffsets sq;
  CqOffsets cq;
};
static_assert(sizeof(Parameters) == 120);

struct Timespec {
  int64_t seconds;
  int64_t nanoseconds;
};
struct WaitArgument {
  uint64_t signalMask;
  uint32_t signalMaskSize;
  uint32_t minimumWaitUs;
  uint64_t timeout;
};
struct BufferRing {
  uint64_t address;
  uint32_t entries;
  uint16_t group;
  uint16_t flags;
  uint64_t reserved[3];
};
struct Buffer {
  uint64_t address;
  uint32_t length;
  uint16_t id;
  /** Of the first record: the ring's tail. */
  uint16_t tail;
};
struct RegisterFiles {
  uint32_t count;
  uint32_t flags;
  uint64_t reserved;
  uint64_t data;
  uint64_t tags;
};
struct UpdateFiles {
  uint32_t offset;
  uint32_t reserved;
  uint64_t data;
};
/** What a multishot recvmsg writes in front of name, control and payload. */
struct ReceivedHeader {
  uint32_t nameLength, controlLength, payloadLength, flags;
};
struct ProbeOperation {
  uint8_t operation, reserved;
  uint16_t flags;
  uint32_t reserved2;
};
struct Probe {
  uint8_t last, count;
  uint16_t reserved;
  uint32_t reserved2[3];
  ProbeOperation operations[64];
};

constexpr uint8_t opAsyncCancel = 14, opRead = 22, opSend = 26, opRecvmsg = 10, opPollAdd = 6, opSendZeroCopy = 47;
constexpr uint8_t sqeFixedFile = 1, sqeBufferSelect = 1 << 5, sqeSkipSuccess = 1 << 6;
constexpr uint16_t receiveMultishot = 1 << 1;
constexpr uint32_t pollMultishot = 1;
constexpr uint32_t cqeBuffer = 1, cqeMore = 2, cqeBufferShift = 16;
constexpr uint32_t setupCqSize = 1 << 3, setupClamp = 1 << 4, setupSubmitAll = 1 << 7, setupSingleIssuer = 1 << 12,
                   setupDeferTaskrun = 1 << 13, setupNoSqArray = 1 << 16;
constexpr uint32_t featureSingleMmap = 1, featureNoDrop = 2, featureExtArg = 1 << 8, featureSkipSuccess = 1 << 11,
                   featureMinimumWait = 1 << 15;
constexpr uint32_t enterGetEvents = 1, enterExtArg = 8;
constexpr uint32_t sqOverflow = 2;
constexpr unsigned registerProbe = 8, registerFilesUpdate = 6, registerFiles2 = 13, registerBufferRing = 22;
constexpr uint32_t filesSparse = 1;
constexpr uint64_t offsetSq = 0, offsetSqes = 0x10000000;

}  // namespace sallyport::uring
