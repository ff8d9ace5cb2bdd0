// The registered contacts of this edge. Owns the indexes over them and their expiry; the store keeps them over a restart.
// Must not know SIP transactions.
import type { Clock, Log, Timer } from "@sallyport/kit";
import type { StateStore, StateValue } from "@sallyport/store";
import { withPastFlow } from "../state/past-flow.ts";
import { createCompact } from "./compact.ts";
import { bindingFrom, bindingKey, keyOf, sameContactUri, type Binding, type ContactFacts } from "./binding.ts";

/** Most have one member, which needs no set. */
type Members = string | Set<string>;

/** RFC 5626 4.2: all its flows name the same instance. */
const deviceOf = ({ aor, instance, outbound }: Binding): string | undefined =>
  outbound && instance !== undefined ? `${aor} ${instance}` : undefined;

const bucket = "pcscf/bindings";
const sweepMs = 10_000;

export interface Bindings {
  readonly size: number;
  all(): readonly Binding[];
  /** Undefined once it has expired. */
  byId(id: string): Binding | undefined;
  byContact(aor: string, contact: Omit<ContactFacts, "expires">): Binding | undefined;
  /** The binding a request along our Path is for: of those that share the Path the one whose Contact it names. */
  alongPath(path: string, requestUri: string): Binding | undefined;
  /** The flows of outbound one device has with this edge (RFC 5626 3.2); only itself where it uses none. */
  ofDevice(binding: Binding): readonly Binding[];
  /** Bindings registered over a flow, newest last. */
  onFlow(flowId: string): readonly Binding[];
  /** Whether anybody is registered over a flow. */
  isOnFlow(flowId: string): boolean;
  /** Takes effect at once; resolves when the store has it. */
  put(binding: Binding): Promise<void>;
  drop(id: string): Promise<void>;
  close(): void;
}

const readAll = async (store: StateStore): Promise<readonly Binding[]> => {
  const found: Binding[] = [];
  for (let after: string | undefined; ;) {
    const entries = await store.list(bucket, after === undefined ? {} : { after });
    found.push(...entries.flatMap((entry) => bindingFrom(entry.value) ?? []));
    const last = entries.at(-1);
    if (last === undefined) return found;
    after = last.key;
  }
};

/** Loads what an earlier run left in the store. `onGone` is told of each binding that expires or is dropped. */
export const createBindings = async (options: {
  readonly store: StateStore;
  readonly clock: Clock;
  readonly log: Log;
  readonly onGone: (binding: Binding) => void;
}): Promise<Bindings> => {
  const { store, clock, log } = options;
  const byId = new Map<string, Binding>();
  const byKey = new Map<string, string>();
  const byFlow = new Map<string, Members>();
  /** Only of bindings whose Path does not name them themselves. */
  const byPath = new Map<string, Members>();
  const byDevice = new Map<string, Members>();

  const leave = (index: Map<string, Members>, key: string, id: string): void => {
    const members = index.get(key);
    if (typeof members === "object") {
      members.delete(id);
      if (members.size === 0) index.delete(key);
    } else if (members === id) index.delete(key);
  };
  const join = (index: Map<string, Members>, key: string, id: string): void => {
    const members = index.get(key);
    if (typeof members === "object") members.add(id);
    else index.set(key, members === undefined || members === id ? id : new Set([members, id]));
  };
  const membersOf = (index: ReadonlyMap<string, Members>, key: string): Iterable<string> => {
    const members = index.get(key);
    return members === undefined ? [] : typeof members === "string" ? [members] : members;
  };
  const compact = createCompact();
  const unlink = (binding: Binding): void => {
    byId.delete(binding.id);
    const key = keyOf(binding);
    if (byKey.get(key) === binding.id) byKey.delete(key);
    leave(byFlow, binding.flow.id, binding.id);
    if (binding.path !== undefined) leave(byPath, binding.path, binding.id);
    const device = deviceOf(binding);
    if (device !== undefined) leave(byDevice, device, binding.id);
  };
  const link = (binding: Binding): void => {
    byId.set(binding.id, binding);
    byKey.set(keyOf(binding), binding.id);
    join(byFlow, binding.flow.id, binding.id);
    if (binding.path !== undefined) join(byPath, binding.path, binding.id);
    const device = deviceOf(binding);
    if (device !== undefined) join(byDevice, device, binding.id);
  };
  const drop = async (id: string): Promise<void> => {
    const binding = byId.get(id);
    if (binding === undefined) return;
    unlink(binding);
    options.onGone(binding);
    await store.delete(bucket, id);
  };
  const live = (id: string | undefined): Binding | undefined => {
    const binding = id === undefined ? undefined : byId.get(id);
    return binding !== undefined && binding.expiresAt > clock.now() ? binding : undefined;
  };

  for (const binding of await readAll(store)) {
    if (binding.expiresAt > clock.now()) link(compact(withPastFlow(binding)));
    else await store.delete(bucket, binding.id);
  }

  let timer: Timer;
  const sweep = (): void => {
    for (const binding of byId.values()) {
      if (binding.expiresAt > clock.now()) continue;
      log.info("registration expired", { aor: binding.aor });
      drop(binding.id).catch((error: unknown) => log.warn("store failed", { error: String(error) }));
    }
    timer = clock.after(sweepMs, sweep);
  };
  timer = clock.after(sweepMs, sweep);

  return {
    get size() {
      return byId.size;
    },
    all: () => [...byId.values()],
    byId: live,
    byContact: (aor, contact) => live(byKey.get(bindingKey(aor, contact))),
    alongPath: (path, requestUri) => {
      if (!byPath.has(path)) return live(path);
      const all = [path, ...membersOf(byPath, path)].flatMap((id) => live(id) ?? []);
      // A core that changed the Request-URI means whoever is there.
      return all.find(({ contact }) => sameContactUri(contact, requestUri)) ?? all[0];
    },
    ofDevice: (binding) => {
      const device = deviceOf(binding);
      return device === undefined ? [binding] : [...membersOf(byDevice, device)].flatMap((id) => live(id) ?? []);
    },
    onFlow: (flowId) => [...membersOf(byFlow, flowId)].flatMap((id) => live(id) ?? []),
    isOnFlow: (flowId) => {
      for (const id of membersOf(byFlow, flowId)) if (live(id) !== undefined) return true;
      return false;
    },
    put: async (given) => {
      const binding = compact(given);
      const before = byId.get(binding.id);
      if (before !== undefined) unlink(before);
      link(binding);
      // A binding is JSON through and through; its policy is an interface, which has no index signature.
      try {
        await store.put(bucket, binding.id, binding as unknown as StateValue);
      } catch (error) {
        // What is not kept is not so: whoever was to be told of it hears of a failure, and what was before stands.
        if (byId.get(binding.id) === binding) {
          unlink(binding);
          if (before !== undefined) link(before);
        }
        throw error;
      }
    },
    drop,
    close: () => {
      timer.cancel();
      byId.clear();
      byKey.clear();
      byFlow.clear();
      byPath.clear();
      byDevice.clear();
    },
  };
};
