// One screen about an edge, with what an operator should look at. Pure.
import type { Edge } from "@sallyport/pcscf";
import { certificateWarnings, type CertificateFacts } from "./certificates.ts";
import { gatewayReason } from "./gateway-reasons.ts";
import { apiVersion, type Status } from "./schema.ts";
import { name, prose } from "./text.ts";
import { gatewayAnswer } from "./views.ts";

export interface StatusFacts {
  readonly now: number;
  readonly startedAt: number;
  readonly version: string;
  readonly node: string;
  readonly pid: number;
  readonly memory: number;
  readonly certificates: readonly CertificateFacts[];
}

export type DescribedEdge = Pick<Edge, "name" | "access" | "core" | "iq" | "counts" | "gateways">;

const warningsOf = (edge: DescribedEdge): readonly string[] => {
  const gateways = edge.gateways();
  const up = gateways.filter(({ state }) => state === "up");
  return [
    ...(up.length === 0 ? ["no access gateway is up: calls that need e2ae are refused with 503"] : []),
    ...gateways
      .filter(({ state }) => state !== "up")
      .map(
        ({ id, state, reason }) =>
          `gateway ${id} is ${state}${reason === undefined ? "" : `: ${gatewayReason(reason)}`}`,
      ),
    ...up
      .filter(({ draining }) => draining)
      .map(({ id, contexts }) =>
        contexts === 0
          ? `gateway ${id} is drained: it may be stopped, or taken back (sallyport gw resume ${id})`
          : `gateway ${id} is draining: ${contexts} to go`,
      ),
    ...(up.length > 0 && up.every(({ draining }) => draining)
      ? ["every gateway that is up is draining: calls that need e2ae are refused with 503"]
      : []),
    ...up
      .filter(({ health }) => health === "silent" || health === "congested" || health === "refusing")
      .map(({ id, health }) => `gateway ${id} is ${health}`),
    ...up
      .filter((gateway) => !gateway.protected)
      .map(({ id }) => `gateway ${id} is connected without protection: it gets no keys`),
    ...edge.access
      .filter(({ trusted, protocol }) => trusted && protocol !== "tls")
      .map(({ name, protocol }) => `${name} lets keys pass over ${protocol}, because its access is declared trusted`),
  ];
};

export const statusOf = (edge: DescribedEdge, facts: StatusFacts): Status => {
  const point = ({ name, protocol, address, port }: DescribedEdge["access"][number]) => ({
    name,
    protocol,
    address,
    port,
  });
  const { iq } = edge;
  return {
    apiVersion,
    now: facts.now,
    name: edge.name,
    version: facts.version,
    node: facts.node,
    pid: facts.pid,
    startedAt: facts.startedAt,
    memory: facts.memory,
    access: edge.access.map((each) => ({ ...point(each), trusted: each.trusted })),
    core: edge.core.map(point),
    ...(iq === undefined ? {} : { iq: { protocol: iq.protocol, address: iq.address, port: iq.port } }),
    counts: { ...edge.counts() },
    gateways: edge.gateways().map(gatewayAnswer),
    warnings: [
      ...warningsOf(edge).map(prose),
      ...certificateWarnings(facts.certificates, facts.now).map((warning) => name(warning)),
    ],
  };
};
