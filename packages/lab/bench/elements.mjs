// The elements under measurement: edge, gateway and core as their own processes, configured for one transport.
// YAML takes JSON, so the files are written as JSON.
import { writeFileSync } from "node:fs";
import { startElement } from "./process.mjs";

const address = "127.0.0.1";
const million = 1_000_000;
const mediaAddress = "127.0.0.2";
const domain = "bench.example";

/** @param {{ root: string, folder: string, certificates: string, nodeOptions?: Record<string, string> }} place */
export const createElements = ({ root, folder, certificates, nodeOptions = {} }) => {
  const tls = (name, more = {}) => ({
    certificate: `${certificates}/${name}.crt`,
    key: `${certificates}/${name}.key`,
    ca: `${certificates}/ca.crt`,
    ...more,
  });
  const file = (name, config) => {
    const path = `${folder}/${name}.yaml`;
    writeFileSync(path, JSON.stringify(config));
    return path;
  };
  const point = (protocol, name) => ({ protocol, address, port: 0, ...(protocol === "tls" ? { tls: tls(name) } : {}) });
  const portOf = (text) => Number(/:(\d+)/.exec(text)[1]);

  return {
    /** The real edge: Iq over mutual TLS as in service, e2ae offered to everybody, SDES keys over any access we measure. */
    edge: async (protocol, nextHopPort) => {
      const config = {
        name: "edge-a",
        homeNetwork: domain,
        access: [{ ...point(protocol, "edge-a"), trusted: protocol !== "tls" }],
        core: {
          listen: [point(protocol, "edge-a")],
          nextHop: `sip:${address}:${nextHopPort};transport=${protocol}`,
          ...(protocol === "tls" ? { nextHopName: "core.lab.example" } : {}),
          trusted: { addresses: [address] },
        },
        iq: {
          mid: "<edge-a.lab.example>",
          listen: { protocol: "tls", address, port: 0, tls: tls("edge-a", { requireClientCertificate: true }) },
          gateways: [{ id: "gw-a", mid: "<gw-a.lab.example>", certificateName: "gw-a.lab.example" }],
        },
        policy: { rules: [{ e2ae: "offered" }] },
        // One address stands for a whole town here; and what else the machine does must not turn calls away.
        limits: {
          overload: { eventLoopMs: 0 },
          sources: {
            requestsPerSecond: million,
            burst: million,
            unregisteredPerSecond: million,
            unregisteredBurst: million,
          },
          maxTransactions: 100_000,
          maxRegistersPerMinute: 6_000,
          maxCallsPerBinding: 1_000,
          maxCalls: 100_000,
          endedCalls: 100,
        },
      };
      const edge = await startElement(
        root,
        "edge",
        file("edge", config),
        /^edge .*access (.*); core (.*); iq (.*)$/m,
        nodeOptions.edge,
      );
      return { ...edge, accessPort: portOf(edge.ready[1]), iqPort: portOf(edge.ready[3]) };
    },

    gateway: (iqPort) => {
      const config = {
        id: "gw-a.lab.example",
        controllers: [
          { address, port: iqPort, protocol: "tls", certificateName: "edge-a.lab.example", tls: tls("gw-a") },
        ],
        // An address of its own: a gateway keeps ports of ended calls back for a while, so it needs many.
        interfaces: { access: { address: mediaAddress }, core: { address: mediaAddress } },
        ports: { first: 2_000, last: 64_999 },
      };
      return startElement(root, "gateway", file("gateway", config), /^gateway .*$/m, nodeOptions.gateway);
    },

    core: async (protocol, users) => {
      const config = {
        domain,
        listen: [point(protocol, "core")],
        users: Array.from({ length: users }, (_, user) => ({
          impu: `sip:user${user}@${domain}`,
          impi: `user${user}@${domain}`,
          password: `password${user}`,
          algorithms: ["SHA-256"],
        })),
      };
      const core = await startElement(root, "core", file("core", config), /^core: (.*)$/m, nodeOptions.core);
      return { ...core, port: portOf(core.ready[1]) };
    },
  };
};
