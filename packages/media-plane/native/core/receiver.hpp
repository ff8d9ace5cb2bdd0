// Owns the receiving side of one direction, in the order of RFC 3711 3.3 and 3.4: length, SSRC looked up read-only, index
// guessed, replay checked, tag verified and payload decrypted, and only then anything remembered (invariant 3).
// As packages/srtp/src/receiver.ts.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "failure.hpp"
#include "indices.hpp"
#include "replay.hpp"
#include "session-key.hpp"
#include "source-table.hpp"
#include "transform.hpp"

namespace sallyport {

struct ReceiveSource {
  uint32_t ssrc = 0;
  bool taken = false;
  /** An RTP packet has verified here: the ROC is known. */
  bool settled = false;
  uint64_t packets = 0;
  IndexWindow rtp;
  IndexWindow rtcp;
};

/** The highest RTP index that an SSRC had under the keys that were replaced. */
struct PredecessorSource {
  uint32_t ssrc = 0;
  bool taken = false;
  int64_t rtp = -1;
};

struct Receiving {
  Suite const* suite = nullptr;
  unsigned keyCount = 0;
  SourceTable<ReceiveSource> sources;
  /** One, or several with distinct MKIs of one length. All share the ROC and replay list of an SSRC (RFC 3711 3.3.1). */
  SessionKey first;
  std::unique_ptr<SessionKey[]> others;
  SourceTable<PredecessorSource> predecessor;
  /** Of each key. */
  std::vector<Terms> terms;

  SessionKey& key(unsigned at) noexcept { return at == 0 ? first : others[at - 1]; }

  /** What was verified under these very keys: those indices and all before are replays. */
  void resume(Indices const& before);
  /** What the keys before verified: their ROC is tried first (RFC 3711 3.3.1), then 0 and the neighbours. */
  void follow(Indices const& replaced);
  Indices indices();
  /** How far each SSRC is known to have come, under these keys or, where it was silent since, under those before. */
  Indices reached();
  bool sharesKeyWith(std::vector<Terms> const& asked) const;
};

struct ReceiveNews {
  /** The ROC was another one than guessed. */
  bool rocTrial = false;
  bool expiring = false;
};

/** Opens in place; `length` becomes that of the clear packet. On a failure the packet is as it was. */
Failure unprotectRtp(Receiving& receiving, Ciphers& ciphers, uint8_t* packet, size_t& length,
                     ReceiveNews& news) noexcept;
Failure unprotectRtcp(Receiving& receiving, Ciphers& ciphers, uint8_t* packet, size_t& length,
                      ReceiveNews& news) noexcept;

}  // namespace sallyport
