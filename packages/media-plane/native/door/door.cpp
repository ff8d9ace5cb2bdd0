// Owns the door between JavaScript and the engine: Node-API and nothing else. Values cross in one block of memory (the record of
// a change, counters, events), calls carry small numbers. Knows no rule.
#define NAPI_VERSION 9
#include <node_api.h>
#include <sys/mman.h>
#include <cstring>
#include <new>

#include "../engine/engine.hpp"
#include "../engine/sockets.hpp"

namespace {

using namespace sallyport;

constexpr size_t scratchOctets = 8192;
constexpr size_t maxThreads = 64;
static_assert(record::size <= scratchOctets);

struct Door {
  std::unique_ptr<Engine> engine;
  napi_threadsafe_function wake = nullptr;
  std::atomic<bool> waking{false};
  /** Locked: master keys pass through it. */
  uint8_t* scratch = nullptr;
  ThreadStats* stats = nullptr;

  ~Door() {
    engine.reset();
    if (scratch != nullptr) munmap(scratch, scratchOctets);
    operator delete[](stats, std::align_val_t{alignof(ThreadStats)});
  }
  double* numbers() { return reinterpret_cast<double*>(scratch); }
};

napi_value number(napi_env env, double value) {
  napi_value result = nullptr;
  napi_create_double(env, value, &result);
  return result;
}

/** The door and up to five numbers of a call. */
struct Call {
  Call(napi_env env, napi_callback_info info) {
    size_t count = 6;
    napi_value values[6];
    // What was not given is `undefined`; the count is of what was given, however much that is.
    napi_get_cb_info(env, info, &count, values, nullptr, nullptr);
    if (count > 6) count = 6;
    void* found = nullptr;
    napi_get_value_external(env, values[0], &found);
    door = static_cast<Door*>(found);
    for (size_t at = 1; at < count; ++at) napi_get_value_int32(env, values[at], &arguments[at - 1]);
  }
  Door* door = nullptr;
  int32_t arguments[5] = {};
};

/** Goes up, here and in src/native/addon.ts, whenever a call of the door or the layout of a record changes. */
constexpr int32_t contract = 2;

/** Refusals leave as negative numbers: their code, less one thousand; errno stays above. */
int32_t refused(Refusal refusal) { return -1000 - static_cast<int32_t>(refusal); }

/** Places from which JavaScript reads one record: fixed, and the memory is the door's own. */
constexpr int32_t notAnAddress = -2000;

// prepare(door, leg) -> index or a refusal
napi_value prepare(napi_env env, napi_callback_info info) {
  Call call(env, info);
  ReadChange change;
  if (!readChange(call.door->scratch, change)) return number(env, notAnAddress);
  Refusal refusal = Refusal::none;
  const int index = call.door->engine->prepare(static_cast<uint32_t>(call.arguments[0]), change, refusal);
  return number(env, index < 0 ? refused(refusal) : index);
}

// bind(door, index): local address and port stand in the record -> 0 or -errno
napi_value bindLeg(napi_env env, napi_callback_info info) {
  Call call(env, info);
  Address local;
  if (!readAddress(call.door->scratch + record::local, local) || local.family == 0) return number(env, notAnAddress);
  std::memcpy(&local.port, call.door->scratch + record::localPort, sizeof local.port);
  return number(env, call.door->engine->bind(call.arguments[0], local));
}

napi_value abandon(napi_env env, napi_callback_info info) {
  Call call(env, info);
  call.door->engine->abandon(call.arguments[0]);
  return nullptr;
}

// change(door, index) -> 0 or a refusal
napi_value change(napi_env env, napi_callback_info info) {
  Call call(env, info);
  ReadChange change;
  if (!readChange(call.door->scratch, change)) return number(env, notAnAddress);
  const Refusal refusal = call.door->engine->change(call.arguments[0], change);
  return number(env, refusal == Refusal::none ? 0 : refused(refusal));
}

napi_value join(napi_env env, napi_callback_info info) {
  Call call(env, info);
  call.door->engine->join(call.arguments[0], call.arguments[1]);
  return nullptr;
}

// close(door, index) -> 1: `drain` finds it already
napi_value closeLeg(napi_env env, napi_callback_info info) {
  Call call(env, info);
  return number(env, call.door->engine->close(call.arguments[0]) ? 1 : 0);
}

void copyCounters(Counters const& counters, double* to) {
  auto const* from = reinterpret_cast<Counter const*>(&counters);
  for (size_t at = 0; at < counterCount; ++at) to[at] = static_cast<double>(from[at].get());
}

// counters(door, index): they stand in the scratch memory then
napi_value counters(napi_env env, napi_callback_info info) {
  Call call(env, info);
  copyCounters(call.door->engine->counters(call.arguments[0]), call.door->numbers());
  return nullptr;
}

// drain(door, closed): calls closed(leg, kept) for each leg that is gone, its counters in the scratch memory; kept, 1: its
// sockets are not gone, the same ports cost less than others
napi_value drain(napi_env env, napi_callback_info info) {
  size_t count = 2;
  napi_value values[2];
  napi_get_cb_info(env, info, &count, values, nullptr, nullptr);
  void* found = nullptr;
  napi_get_value_external(env, values[0], &found);
  auto* door = static_cast<Door*>(found);
  // A wake-up may still have been on its way when the engine was shut down.
  if (door->engine == nullptr) return nullptr;
  napi_value global;
  napi_get_global(env, &global);
  door->waking.store(false);
  door->engine->drain([&](uint32_t leg, Counters const& counters, bool kept) {
    copyCounters(counters, door->numbers());
    napi_value arguments[] = {number(env, leg), number(env, kept ? 1 : 0)};
    napi_call_function(env, global, values[1], 2, arguments, nullptr);
  });
  return nullptr;
}

// events(door): gives how many stand in the scratch memory, four numbers each: leg, kind, what, count
napi_value events(napi_env env, napi_callback_info info) {
  Call call(env, info);
  constexpr size_t most = scratchOctets / sizeof(double) / 4;
  double* at = call.door->numbers();
  size_t count = 0;
  call.door->engine->expire();
  Event event;
  while (count < most && call.door->engine->nextEvent(event)) {
    at[0] = event.leg;
    at[1] = static_cast<double>(event.kind);
    at[2] = event.what;
    at[3] = static_cast<double>(event.count);
    at += 4;
    ++count;
  }
  return number(env, static_cast<double>(count));
}

napi_value owner(napi_env env, napi_callback_info info) {
  Call call(env, info);
  return number(env, call.door->engine->owner());
}

// shutdown(door): every leg is closed by now; ends the threads
napi_value shutdown(napi_env env, napi_callback_info info) {
  Call call(env, info);
  call.door->engine.reset();
  if (call.door->wake != nullptr) napi_release_threadsafe_function(call.door->wake, napi_tsfn_release);
  call.door->wake = nullptr;
  return nullptr;
}

/** Called by packet threads. One wake-up stands for all until JavaScript drains. */
void wakeJavaScript(void* with) {
  auto* door = static_cast<Door*>(with);
  if (!door->waking.exchange(true)) napi_call_threadsafe_function(door->wake, nullptr, napi_tsfn_nonblocking);
}

napi_value text(napi_env env, std::string const& from) {
  napi_value result = nullptr;
  napi_create_string_utf8(env, from.c_str(), from.size(), &result);
  return result;
}

napi_value memory(napi_env env, void* at, size_t octets) {
  napi_value result = nullptr;
  napi_create_external_arraybuffer(env, at, octets, nullptr, nullptr, &result);
  return result;
}

/** Names of interfaces, one a line. */
std::vector<std::string> linesOf(napi_env env, napi_value from) {
  char octets[1024];
  size_t length = 0;
  std::vector<std::string> lines;
  if (napi_get_value_string_utf8(env, from, octets, sizeof octets, &length) != napi_ok) return lines;
  std::string line;
  for (size_t at = 0; at <= length; ++at) {
    if (at < length && octets[at] != '\n') {
      line += octets[at];
    } else if (!line.empty()) {
      lines.push_back(std::move(line));
      line.clear();
    }
  }
  return lines;
}

// create(onWake, threads, io, batchUs, receiveBuffer, firstCore, connectAfter, interfaces)
//   -> { door, scratch, stats, ioUring, manner, note } or { why }
napi_value create(napi_env env, napi_callback_info info) {
  size_t count = 8;
  napi_value values[8];
  napi_get_cb_info(env, info, &count, values, nullptr, nullptr);
  int32_t asked[7] = {};
  for (size_t at = 1; at < 7 && at < count; ++at) napi_get_value_int32(env, values[at], &asked[at]);
  napi_value result;
  napi_create_object(env, &result);
  EngineOptions options;
  options.threads = static_cast<unsigned>(asked[1] < 1 ? 1 : asked[1]);
  if (options.threads > maxThreads) options.threads = maxThreads;
  options.io = static_cast<Io>(asked[2]);
  if (count > 7) options.interfaces = linesOf(env, values[7]);
  if (!options.interfaces.empty()) options.threads = 1;
  options.thread.batchUs = static_cast<unsigned>(asked[3] < 0 ? 0 : asked[3]);
  options.receiveBuffer = asked[4];
  options.thread.core = asked[5];
  options.thread.steadyPackets = static_cast<uint8_t>(asked[6] < 0 ? 0 : asked[6] > 255 ? 255 : asked[6]);
  auto door = std::make_unique<Door>();
  options.thread.wake = wakeJavaScript;
  options.thread.wakeWith = door.get();
  const size_t statsOctets = sizeof(ThreadStats) * options.threads;
  door->stats = static_cast<ThreadStats*>(operator new[](statsOctets, std::align_val_t{alignof(ThreadStats)}));
  for (unsigned at = 0; at < options.threads; ++at) new (&door->stats[at]) ThreadStats;
  void* scratch = mmap(nullptr, scratchOctets, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  std::string why, note;
  if (scratch == MAP_FAILED || mlock(scratch, scratchOctets) != 0) {
    why = "memory for keys cannot be locked: raise RLIMIT_MEMLOCK";
  } else {
    door->scratch = static_cast<uint8_t*>(scratch);
    madvise(scratch, scratchOctets, MADV_DONTDUMP);
    napi_create_threadsafe_function(env, values[0], nullptr, text(env, "sallyport media"), 0, 1, nullptr, nullptr,
                                    nullptr, nullptr, &door->wake);
    door->engine = Engine::create(options, door->stats, why, note);
  }
  if (door->engine == nullptr) {
    if (door->wake != nullptr) napi_release_threadsafe_function(door->wake, napi_tsfn_release);
    door->wake = nullptr;
    napi_set_named_property(env, result, "why", text(env, why));
    return result;
  }
  napi_value boolean;
  napi_get_boolean(env, door->engine->usesIoUring(), &boolean);
  napi_set_named_property(env, result, "ioUring", boolean);
  napi_set_named_property(env, result, "manner", text(env, door->engine->manner()));
  napi_set_named_property(env, result, "note", text(env, note));
  napi_set_named_property(env, result, "scratch", memory(env, door->scratch, scratchOctets));
  napi_set_named_property(env, result, "stats", memory(env, door->stats, statsOctets));
  napi_value external;
  // The two memories live as long as the process: a plane is made once, and views of them may outlive it.
  napi_create_external(env, door.release(), nullptr, nullptr, &external);
  napi_set_named_property(env, result, "door", external);
  return result;
}

napi_value names(napi_env env) {
  napi_value result;
  napi_create_array_with_length(env, counterCount, &result);
  for (size_t at = 0; at < counterCount; ++at) {
    napi_set_element(env, result, static_cast<uint32_t>(at), text(env, counterNames[at]));
  }
  return result;
}

}  // namespace

NAPI_MODULE_INIT() {
  const struct {
    const char* name;
    napi_callback call;
  } calls[] = {{"create", create},   {"prepare", prepare}, {"bind", bindLeg},   {"abandon", abandon},
               {"change", change},   {"join", join},       {"close", closeLeg}, {"counters", counters},
               {"drain", drain},     {"events", events},   {"owner", owner},    {"shutdown", shutdown}};
  for (auto const& one : calls) {
    napi_value function;
    napi_create_function(env, one.name, NAPI_AUTO_LENGTH, one.call, nullptr, &function);
    napi_set_named_property(env, exports, one.name, function);
  }
  napi_set_named_property(env, exports, "counterNames", names(env));
  napi_set_named_property(env, exports, "contract", number(env, contract));
  return exports;
}
