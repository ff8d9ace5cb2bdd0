// The elements of the survival run: edge, gateway and core as processes, with ports that stay theirs over every restart,
// a store with a sealing key, and a way to look at what they hold from outside. Knows no call.
import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { startElement } from "../process.mjs";

const address = "127.0.0.1";
export const domain = "bench.example";
export const password = (user) => `password${user}`;

/** Outside the system's ephemeral range, so that nobody takes a port while its owner is dead. */
const firstPort = 11_000;
const block = 240;
const mediaFirst = 24_000;
/** Calls of a rate of 20/s and 8 s take 1,280 at a time, and as many again that rest or belong to calls a kill has left. */
const mediaPorts = 4_000;

/** UDP sockets a process has open, by their local ports. */
const openUdpPorts = (pid) => {
  const inodes = new Set(
    readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? [];
      } catch {
        return []; // closed between listing and reading
      }
    }),
  );
  return readFileSync(`/proc/${pid}/net/udp`, "latin1")
    .split("\n")
    .slice(1)
    .flatMap((line) => {
      const fields = line.trim().split(/\s+/);
      return inodes.has(fields[9]) ? [Number.parseInt(fields[1].split(":")[1], 16)] : [];
    });
};

/** @param {{ root: string, folder: string, certificates: string, protocol: "udp" | "tcp" | "tls", users: number, lane: number }} place */
export const createTown = ({ root, folder, certificates, protocol, users, lane }) => {
  const base = firstPort + (lane % 50) * block;
  const [access, mw, iq, api, home] = [base, base + 1, base + 2, base + 3, base + 4];
  const media = {
    first: mediaFirst + (lane % 2) * mediaPorts,
    last: mediaFirst + (lane % 2) * mediaPorts + mediaPorts - 1,
  };
  const tls = (name, more = {}) => ({
    certificate: `${certificates}/${name}.crt`,
    key: `${certificates}/${name}.key`,
    ca: `${certificates}/ca.crt`,
    ...more,
  });
  const point = (port, name) => ({ protocol, address, port, ...(protocol === "tls" ? { tls: tls(name) } : {}) });
  const file = (name, config) => {
    const path = `${folder}/${name}.yaml`;
    writeFileSync(path, JSON.stringify(config)); // JSON is YAML
    return path;
  };
  writeFileSync(`${folder}/sealing.key`, randomBytes(32), { mode: 0o600 });
  const files = {
    edge: file("edge", {
      name: "edge-a",
      homeNetwork: domain,
      access: [{ ...point(access, "edge-a"), trusted: protocol !== "tls" }],
      core: {
        listen: [point(mw, "edge-a")],
        nextHop: `sip:${address}:${home};transport=${protocol}`,
        ...(protocol === "tls" ? { nextHopName: "core.lab.example" } : {}),
        trusted: { addresses: [address] },
      },
      iq: {
        mid: "<edge-a.lab.example>",
        listen: { protocol: "tls", address, port: iq, tls: tls("edge-a", { requireClientCertificate: true }) },
        gateways: [{ id: "gw-a", mid: "<gw-a.lab.example>", certificateName: "gw-a.lab.example" }],
      },
      policy: { rules: [{ e2ae: "offered" }] },
      // One address stands for a whole town here.
      limits: { maxRegistersPerMinute: 6_000, maxCallsPerBinding: 1_000, overload: { eventLoopMs: 0 } },
      store: { path: "state", sealing: { file: "sealing.key" } },
      api: { listen: { address, port: api } },
    }),
    gateway: file("gateway", {
      id: "gw-a.lab.example",
      controllers: [{ address, port: iq, protocol: "tls", certificateName: "edge-a.lab.example", tls: tls("gw-a") }],
      interfaces: { access: { address }, core: { address } },
      ports: media,
      retry: { firstMs: 50, longestMs: 200 },
    }),
    core: file("core", {
      domain,
      listen: [point(home, "core")],
      users: Array.from({ length: users }, (_, user) => ({
        impu: `sip:user${user}@${domain}`,
        impi: `user${user}@${domain}`,
        password: password(user),
        algorithms: ["SHA-256"],
      })),
    }),
  };
  const ready = { edge: /^edge .*access (.*); core (.*); iq (.*)$/m, gateway: /^gateway .*$/m, core: /^core: (.*)$/m };
  const start = (name) => startElement(root, name, files[name], ready[name]);
  return {
    accessPort: access,
    /** Ports the phones may listen on. */
    phonePort: (index) => base + 10 + index,
    start,
    /** `/v1/status` of the edge; undefined while it does not answer. */
    status: async () => {
      const answer = await fetch(`http://${address}:${api}/v1/status`).catch(() => undefined);
      return answer?.ok === true ? answer.json() : undefined;
    },
    /** Media ports the gateway's process has open: what it really holds, whatever anybody believes. */
    gatewayPorts: (gateway) =>
      openUdpPorts(gateway.child.pid).filter((port) => port >= media.first && port <= media.last).length,
  };
};
