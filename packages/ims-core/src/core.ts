// Owns the lab core as a whole: reads its files, opens its sockets, joins registrar and proxy, closes everything.
// It is a small registrar and S-CSCF of one domain for the lab: no interconnection, no application servers, no charging.
import { readPemFiles, type Clock, type Log, type OpenDatagram, type Random } from "@sallyport/kit";
import { createSipTransport, createTransactions } from "@sallyport/sip";
import type { Listening, TlsMaterial, Transactions, WireEvent } from "@sallyport/sip";
import { coreConfigSchema } from "./config.ts";
import type { CoreConfig, CoreListener, CoreSettings } from "./config.ts";
import { imsCoreErrors } from "./errors.ts";
import { createAuthentication } from "./registrar/authentication.ts";
import { createLocation } from "./registrar/location.ts";
import { createRegistrar } from "./registrar/registrar.ts";
import { createOwnAddress } from "./scscf/own-address.ts";
import type { OwnPoint } from "./scscf/own-address.ts";
import { createProxy } from "./scscf/proxy.ts";
import { createSubscribers } from "./subscribers.ts";

export interface CoreDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly openDatagram?: OpenDatagram;
  /** Sees every SIP message on the core's sockets. */
  observe?(event: WireEvent): void;
}

export interface BindingView {
  readonly impi: string;
  /** All identities registered with it. */
  readonly impus: readonly string[];
  readonly contact: string;
  readonly path: readonly string[];
  readonly expiresInSeconds: number;
}

export interface Core {
  /** As bound, in the order configured. */
  readonly listening: readonly Listening[];
  bindings(): readonly BindingView[];
  counts(): { readonly registrations: number; readonly transactions: number; readonly forks: number };
  close(): Promise<void>;
}

const settingsOf = (config: CoreConfig): CoreSettings => {
  const parsed = coreConfigSchema.safeParse(config);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw imsCoreErrors("SALLY_CORE_CONFIG", issue?.message ?? "", {
    where: issue?.path.map(String).join(".") ?? "core",
  });
};

const materialOf = async (point: CoreListener, where: string): Promise<TlsMaterial | undefined> => {
  if (point.tls === undefined) return undefined;
  const { certificate, key, ca, requireClientCertificate } = point.tls;
  const read = await readPemFiles({ certificate, key, ca }, ({ part, path, what, cause }) =>
    imsCoreErrors("SALLY_CORE_FILE", `${path}: ${what}`, { cause, where: `${where}.tls.${part}` }),
  );
  return {
    cert: read.certificate,
    key: read.key,
    ...(read.ca === undefined ? {} : { ca: read.ca }),
    requireClientCertificate,
  };
};

/** Rejects SALLY_CORE_CONFIG, SALLY_CORE_FILE, SALLY_SIP_LISTEN, SALLY_SIP_TLS_MATERIAL. */
export const createCore = async (config: CoreConfig, deps: CoreDeps): Promise<Core> => {
  const settings = settingsOf(config);
  const { clock, random, log } = deps;
  const points: OwnPoint[] = [];
  const own = createOwnAddress(() => points);
  const subscribers = createSubscribers(settings.users);
  const location = createLocation(clock, (impi, binding) =>
    log.info("registration expired", { impi, contact: binding.contact }),
  );
  const authentication = createAuthentication({
    subscribers,
    realm: settings.domain,
    clock,
    random,
    nonceMs: settings.registration.nonceSeconds * 1000,
  });
  const serviceRoute = (): string => own.serviceRoute();
  const registrar = createRegistrar({ settings, location, authentication, clock, log, serviceRoute });
  const proxy = createProxy({
    settings,
    own,
    clock,
    log,
    routing: { domain: settings.domain, own, subscribers, location },
    transactions: () => transactions,
  });
  const transport = createSipTransport({
    clock,
    log,
    ...(deps.openDatagram === undefined ? {} : { openDatagram: deps.openDatagram }),
    onMessage: (message, flow) => transactions.receive(message, flow),
    onFlowClosed: (flow) => transactions.flowClosed(flow),
    observe: (event) => deps.observe?.(event),
  });
  const transactions: Transactions = createTransactions({
    transport,
    clock,
    random,
    log,
    validation: { role: "proxy" },
    onRequest: (server) => {
      if (server.request.method === "REGISTER") server.respond(registrar.answer(server.request, server.toTag));
      else proxy.receive(server);
    },
    onAck: (ack, flow) => proxy.receiveAck(ack, flow),
  });
  const close = async (): Promise<void> => {
    proxy.close();
    transactions.close();
    location.close();
    await transport.close();
  };
  try {
    for (const [index, point] of settings.listen.entries()) {
      const tls = await materialOf(point, `listen.${index}`);
      const { protocol, address, port, advertised } = point;
      const bound = await transport.listen({
        name: point.name ?? `${protocol}-${index}`,
        protocol,
        address,
        port,
        ...(tls === undefined ? {} : { tls }),
        ...(advertised === undefined ? {} : { advertise: advertised }),
      });
      points.push({ ...bound, host: advertised ?? bound.address });
      log.info("core listening", { ...bound });
    }
  } catch (error) {
    await close();
    throw error;
  }
  return {
    listening: points.map(({ name, protocol, address, port }) => ({ name, protocol, address, port })),
    bindings: () =>
      location.all().flatMap(([impi, bindings]) =>
        bindings.map(({ contact, path, expiresAt }) => ({
          impi,
          impus: subscribers.find(impi)?.impus ?? [],
          contact,
          path,
          expiresInSeconds: Math.max(0, Math.round((expiresAt - clock.now()) / 1000)),
        })),
      ),
    counts: () => {
      const { client, server } = transactions.counts;
      return { registrations: location.all().length, transactions: client + server, forks: proxy.running };
    },
    close,
  };
};
