#include "steer.hpp"
#include <arpa/inet.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cerrno>
#include <cstring>
#include <vector>

namespace sallyport::xdp {
namespace {

long bpf(int command, void* attributes, size_t size) { return syscall(SYS_bpf, command, attributes, size); }

/** What the ports map is asked for: IPv4 as ::ffff:a.b.c.d; all in network order. */
struct PortKey {
  uint8_t host[16];
  uint16_t port;
  uint16_t zero;
};
static_assert(sizeof(PortKey) == 20);

PortKey keyOf(Address const& local) {
  PortKey key{};
  if (local.family == 4) {
    key.host[10] = key.host[11] = 0xff;
    std::memcpy(key.host + 12, local.octets, 4);
  } else {
    std::memcpy(key.host, local.octets, 16);
  }
  key.port = htons(local.port);
  return key;
}

// The few instructions the program needs (RFC 9669), and jumps to places that come later. Sizes: of what is loaded or stored.
enum Register : uint8_t { r0, r1, r2, r3, r4, r5, r6, r10 = 10 };
enum Size : uint8_t { word = 0x00, half = 0x08, octet = 0x10, doubleWord = 0x18 };

class Assembly {
 public:
  void load(Size size, Register to, Register from, int16_t offset) { add(0x61 | size, to, from, offset, 0); }
  void store(Size size, Register to, int16_t offset, Register from) { add(0x63 | size, to, from, offset, 0); }
  void storeNumber(Size size, Register to, int16_t offset, int32_t number) { add(0x62 | size, to, r0, offset, number); }
  void move(Register to, Register from) { add(0xbf, to, from, 0, 0); }
  void set(Register to, int32_t number) { add(0xb7, to, r0, 0, number); }
  void plus(Register to, int32_t number) { add(0x07, to, r0, 0, number); }
  void mask(Register to, int32_t number) { add(0x57, to, r0, 0, number); }
  void map(Register to, int fd) {
    // Two places: a 64-bit constant whose source register says that it is a map's descriptor.
    add(0x18, to, r1, 0, fd);
    add(0, r0, r0, 0, 0);
  }
  void call(int32_t helper) { add(0x85, r0, r0, 0, helper); }
  void end() { add(0x95, r0, r0, 0, 0); }
  /** To `place` when the register is equal, is not, or is above another. */
  void jumpEqual(Register a, int32_t number, int place) { jump(0x15, a, r0, number, place); }
  void jumpOther(Register a, int32_t number, int place) { jump(0x55, a, r0, number, place); }
  void jumpAbove(Register a, Register b, int place) { jump(0x2d, a, b, 0, place); }
  void jumpTo(int place) { jump(0x05, r0, r0, 0, place); }
  void here(int place) {
    for (Jump const& one : jumps_) {
      if (one.place == place) code[one.at].offset = static_cast<int16_t>(code.size() - one.at - 1);
    }
  }

  std::vector<Instruction> code;

 private:
  struct Jump {
    size_t at;
    int place;
  };
  void add(int operation, Register to, Register from, int16_t offset, int32_t number) {
    code.push_back({static_cast<uint8_t>(operation), static_cast<uint8_t>(to | from << 4), offset, number});
  }
  void jump(int operation, Register a, Register b, int32_t number, int place) {
    jumps_.push_back({code.size(), place});
    add(operation, a, b, 0, number);
  }
  std::vector<Jump> jumps_;
};

uint16_t half16(uint8_t const* at) {
  uint16_t value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

/**
 * The program. In words: a frame for our own hardware address, with plain IPv4 (no options, no fragment) or plain IPv6 (no extension
 * header) and UDP in it, whose destination address and port stand in the map of ports, goes to the AF_XDP socket of the queue it came
 * by, where there is one. Everything else goes on to the kernel as if there were no program.
 */
std::vector<Instruction> program(Mac const& mac, int ports, int sockets) {
  enum Place { pass, ipv6, lookUp };
  constexpr int16_t ethernet = 14, key = -24;
  Assembly at;
  at.move(r6, r1);
  at.load(word, r2, r1, 0);  // data
  at.load(word, r3, r1, 4);  // data_end
  at.move(r4, r2);
  at.plus(r4, ethernet + 20 + 8);
  at.jumpAbove(r4, r3, pass);
  for (int16_t part = 0; part < 6; part = static_cast<int16_t>(part + 2)) {
    at.load(half, r5, r2, part);
    at.jumpOther(r5, half16(mac.data() + part), pass);
  }
  at.load(half, r5, r2, 12);
  at.jumpEqual(r5, htons(0x86dd), ipv6);
  at.jumpOther(r5, htons(0x0800), pass);
  // IPv4: version and length of header, fragment (more to come, or not the first), protocol, destination, port.
  at.load(octet, r5, r2, ethernet);
  at.jumpOther(r5, 0x45, pass);
  at.load(half, r5, r2, ethernet + 6);
  at.mask(r5, htons(0x3fff));
  at.jumpOther(r5, 0, pass);
  at.load(octet, r5, r2, ethernet + 9);
  at.jumpOther(r5, 17, pass);
  at.storeNumber(word, r10, key, 0);
  at.storeNumber(word, r10, key + 4, 0);
  at.storeNumber(word, r10, key + 8, static_cast<int32_t>(htonl(0xffff)));
  at.load(word, r5, r2, ethernet + 16);
  at.store(word, r10, key + 12, r5);
  at.load(half, r5, r2, ethernet + 22);
  at.store(word, r10, key + 16, r5);
  at.jumpTo(lookUp);
  at.here(ipv6);
  at.plus(r4, 20);
  at.jumpAbove(r4, r3, pass);
  at.load(octet, r5, r2, ethernet + 6);
  at.jumpOther(r5, 17, pass);
  for (int16_t part = 0; part < 16; part = static_cast<int16_t>(part + 4)) {
    at.load(word, r5, r2, static_cast<int16_t>(ethernet + 24 + part));
    at.store(word, r10, static_cast<int16_t>(key + part), r5);
  }
  at.load(half, r5, r2, ethernet + 42);
  at.store(word, r10, key + 16, r5);
  at.here(lookUp);
  at.map(r1, ports);
  at.move(r2, r10);
  at.plus(r2, key);
  at.call(helperLookup);
  at.jumpEqual(r0, 0, pass);
  at.load(word, r2, r6, 16);  // rx_queue_index
  at.map(r1, sockets);
  at.set(r3, verdictPass);  // what becomes of it where the queue has no socket
  at.call(helperRedirect);
  at.end();
  at.here(pass);
  at.set(r0, verdictPass);
  at.end();
  return at.code;
}

Handle createMap(uint32_t type, uint32_t keySize, uint32_t entries, char const* name, std::string& why) {
  MapCreate asked{};
  asked.type = type;
  asked.keySize = keySize;
  asked.valueSize = 4;
  asked.entries = entries;
  asked.flags = type == mapHash ? withoutPreallocation : 0;
  std::strncpy(asked.name, name, sizeof asked.name - 1);
  Handle map(static_cast<int>(bpf(commandMapCreate, &asked, sizeof asked)));
  if (map.get() < 0) why = std::string("a BPF map is refused: ") + std::strerror(errno) + helpFor(errno);
  return map;
}

}  // namespace

Handle::~Handle() {
  if (fd_ >= 0) ::close(fd_);
}

Handle& Handle::operator=(Handle&& from) noexcept {
  if (this != &from) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = from.fd_;
    from.fd_ = -1;
  }
  return *this;
}

std::string helpFor(int error) {
  switch (error) {
    case EPERM:
    case EACCES:
      return "; give the process CAP_NET_ADMIN, CAP_NET_RAW and CAP_BPF (before Linux 5.8: CAP_SYS_ADMIN), or more locked "
             "memory (LimitMEMLOCK=)";
    case ENOSYS:
    case EAFNOSUPPORT:
    case EINVAL:
      return "; it takes Linux 5.11 or later with CONFIG_BPF_SYSCALL and CONFIG_XDP_SOCKETS";
    case ENOMEM:
    case ENOBUFS:
      return "; let the process lock more memory (LimitMEMLOCK=)";
    default:
      return "";
  }
}

bool Steer::open(uint32_t ports, std::string& why) {
  ports_ = createMap(mapHash, sizeof(PortKey), ports, "sallyport_ports", why);
  return ports_.get() >= 0;
}

Handle Steer::load(Attachment const& at, Mac const& mac, std::string& why) const {
  const std::vector<Instruction> code = program(mac, ports_.get(), at.sockets.get());
  static const char license[] = "Apache-2.0";
  ProgramLoad asked{};
  asked.type = programXdp;
  asked.count = static_cast<uint32_t>(code.size());
  asked.instructions = reinterpret_cast<uint64_t>(code.data());
  asked.license = reinterpret_cast<uint64_t>(license);
  std::strncpy(asked.name, "sallyport_xdp", sizeof asked.name - 1);
  asked.attachType = attachXdp;
  Handle program(static_cast<int>(bpf(commandProgramLoad, &asked, sizeof asked)));
  if (program.get() < 0) why = std::string("the XDP program is refused: ") + std::strerror(errno) + helpFor(errno);
  return program;
}

bool Steer::attach(std::string const& name, uint32_t interface, Mac const& mac, uint32_t queues, Attachment& to,
                   std::string& why) {
  to.sockets = createMap(mapSockets, 4, queues, "sallyport_xsks", why);
  if (to.sockets.get() < 0) return false;
  to.program = load(to, mac, why);
  if (to.program.get() < 0) return false;
  for (const uint32_t mode : {attachNative, attachGeneric}) {
    LinkCreate asked{};
    asked.program = static_cast<uint32_t>(to.program.get());
    asked.interface = interface;
    asked.attachType = attachXdp;
    asked.flags = mode;
    to.link = Handle(static_cast<int>(bpf(commandLinkCreate, &asked, sizeof asked)));
    to.native = mode == attachNative;
    if (to.link.get() >= 0) return true;
    if (errno == EBUSY || errno == EEXIST) {
      why = "another XDP program is attached to " + name + ": detach it (ip link set dev " + name + " xdp off)";
      return false;
    }
    why = "no XDP program can be attached to " + name + ": " + std::strerror(errno) + helpFor(errno);
  }
  return false;
}

bool Steer::readdress(Attachment& at, Mac const& mac) {
  std::string why;
  Handle program = load(at, mac, why);
  if (program.get() < 0) return false;
  LinkUpdate asked{};
  asked.link = static_cast<uint32_t>(at.link.get());
  asked.program = static_cast<uint32_t>(program.get());
  if (bpf(commandLinkUpdate, &asked, sizeof asked) != 0) return false;
  at.program = std::move(program);
  return true;
}

bool Steer::serve(Attachment& at, uint32_t queue, int socket, std::string& why) {
  MapElement asked{};
  asked.map = static_cast<uint32_t>(at.sockets.get());
  asked.key = reinterpret_cast<uint64_t>(&queue);
  asked.value = reinterpret_cast<uint64_t>(&socket);
  if (bpf(commandMapUpdate, &asked, sizeof asked) == 0) return true;
  why = std::string("the AF_XDP socket cannot be put before its queue: ") + std::strerror(errno);
  return false;
}

void Steer::withdraw(Attachment& at, uint32_t queue) {
  MapElement asked{};
  asked.map = static_cast<uint32_t>(at.sockets.get());
  asked.key = reinterpret_cast<uint64_t>(&queue);
  bpf(commandMapDelete, &asked, sizeof asked);
}

bool Steer::take(Address const& local) {
  PortKey key = keyOf(local);
  uint32_t value = 1;
  MapElement asked{};
  asked.map = static_cast<uint32_t>(ports_.get());
  asked.key = reinterpret_cast<uint64_t>(&key);
  asked.value = reinterpret_cast<uint64_t>(&value);
  return bpf(commandMapUpdate, &asked, sizeof asked) == 0;
}

void Steer::leave(Address const& local) {
  PortKey key = keyOf(local);
  MapElement asked{};
  asked.map = static_cast<uint32_t>(ports_.get());
  asked.key = reinterpret_cast<uint64_t>(&key);
  bpf(commandMapDelete, &asked, sizeof asked);
}

}  // namespace sallyport::xdp
