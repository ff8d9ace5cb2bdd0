// Owns what the gateway tells of itself: congestion (H.248.10 `chp`), realms that come and go
// (H.248.41 Amd. 1 `ipra`). Pure: looked at once in a while, it tells what is new.
import type { IqRootEvent } from "@sallyport/iq";
import type { Interface } from "./stream.ts";

export interface Looked {
  readonly contexts: number;
  readonly maxContexts: number;
  /** Local addresses that are there; undefined: nobody looked. */
  readonly addresses?: ReadonlySet<string>;
}

export interface Told {
  readonly reduction: number;
  readonly down: readonly string[];
}

export const nothingTold: Told = { reduction: 0, down: [] };

const beginsAt = 0.9;

/** From nine tenths of its contexts on a gateway asks for fewer new ones, in steps of ten per cent. */
const reductionOf = ({ contexts, maxContexts }: Looked): number => {
  const use = contexts / maxContexts;
  if (use < beginsAt) return 0;
  return Math.min(100, 10 * Math.floor(1 + ((use - beginsAt) / (1 - beginsAt)) * 9));
};

/** Realms whose every address is gone. */
const realmsDown = (faces: readonly Interface[], addresses: ReadonlySet<string>): readonly string[] => {
  const up = new Map<string, boolean>();
  for (const { address, realm } of faces) {
    if (realm === undefined) continue;
    up.set(realm, up.get(realm) === true || addresses.has(address));
  }
  return [...up].flatMap(([realm, there]) => (there ? [] : [realm]));
};

export const lookAt = (
  told: Told,
  now: Looked,
  faces: readonly Interface[],
): { readonly told: Told; readonly events: readonly IqRootEvent[] } => {
  const events: IqRootEvent[] = [];
  const reduction = reductionOf(now);
  if (reduction !== told.reduction) events.push({ kind: "congestion", reduction });
  const down = now.addresses === undefined ? told.down : realmsDown(faces, now.addresses);
  const unavailable = down.filter((realm) => !told.down.includes(realm));
  const available = told.down.filter((realm) => !down.includes(realm));
  if (unavailable.length + available.length > 0) events.push({ kind: "realms", available, unavailable });
  return { told: { reduction, down }, events };
};
