// The screens of `status`, `reg`, `gw` and `call list`. Pure: an answer and a paper in, lines out.
import { gatewayReason, meaningOf } from "@sallyport/api";
import type { Calls, Gateways, Registrations, Status } from "@sallyport/api";
import { tint, toneOf, type Paper } from "../screen/paper.ts";
import { table } from "../screen/table.ts";
import { clean, duration, hang, plural } from "../screen/text.ts";
import { lasting, shortId, sign } from "./words.ts";

export type Lines = readonly string[];

const painter =
  (paper: Paper) =>
  (text: string, cell: string): string =>
    tint(paper, toneOf(cell), text);

const at = ({ address, port }: { readonly address: string; readonly port: number }): string =>
  `${address.includes(":") ? `[${address}]` : address}:${port}`;

export const statusScreen = (status: Status, paper: Paper): Lines => {
  const point = (each: Status["access"][number]): string => `${each.name} ${each.protocol} ${at(each)}`;
  const { counts, gateways } = status;
  const row = (label: string, text: string): Lines => hang(label.padEnd(10), clean(text), paper.columns);
  const up = gateways.filter(({ state }) => state === "up").length;
  return [
    `${clean(status.name)}  up ${duration(status.now - status.startedAt)}`,
    ...row(
      "version",
      `sallyport ${status.version}, Node ${status.node}, pid ${status.pid}, ${Math.round(status.memory / 1_048_576)} MiB`,
    ),
    ...row("access", status.access.map(point).join(", ")),
    ...row("core", status.core.map(point).join(", ")),
    ...row("iq", status.iq === undefined ? "listens nowhere" : `${status.iq.protocol} ${at(status.iq)}`),
    ...row(
      "holds",
      [
        plural(counts.registrations, "registration"),
        plural(counts.calls, "call leg"),
        plural(counts.contexts, "gateway context"),
        plural(counts.transactions, "transaction"),
      ].join(", "),
    ),
    ...row("gateways", `${up} of ${gateways.length} up`),
    ...(status.warnings.length === 0
      ? ["warnings  none"]
      : status.warnings.flatMap((warning) => row("warning", warning).map((line) => tint(paper, "doubtful", line)))),
  ];
};

/** In lists room is scarce, and every verb finds an identity without its scheme. */
const bare = (aor: string): string => aor.replace(/^sip:/, "");

/** What a list says below itself when it is not whole. */
const rest = (shown: number, { total, offset }: { readonly total: number; readonly offset: number }): Lines =>
  shown + offset < total ? [`${offset + 1} to ${offset + shown} of ${total}; --limit and --offset show others`] : [];

export const registrationList = (answer: Registrations, paper: Paper): Lines => {
  if (answer.registrations.length === 0)
    return answer.offset > 0 ? [`no more than ${plural(answer.total, "registration")}`] : ["no registrations"];
  return [
    ...table(
      [
        { title: "AOR", least: 16 },
        { title: "TRANSPORT" },
        { title: "UE" },
        { title: "NET" },
        { title: "POLICY", least: 6 },
        { title: "EXPIRES", align: "right" },
        { title: "WHY NOT E2AE", least: 12 },
      ],
      answer.registrations.map((each) => [
        bare(each.aor),
        each.transport,
        sign(each.indications.ueE2ae),
        sign(each.indications.networkE2ae),
        each.policy,
        duration(each.expiresInMs),
        each.reason ?? "",
      ]),
      paper.columns,
    ),
    ...rest(answer.registrations.length, answer),
  ];
};

export const registrationDetail = ({ registrations, now }: Registrations, paper: Paper): Lines =>
  registrations.flatMap((each, index) => {
    const row = (label: string, text: string): Lines => hang(`  ${label.padEnd(12)}`, clean(text), paper.columns);
    const { indications: told, reason } = each;
    const meaning = reason === undefined ? undefined : meaningOf(reason);
    return [
      ...(index === 0 ? [] : [""]),
      clean(each.aor),
      ...row("contact", each.contact),
      ...row("identities", each.identities.join(", ")),
      ...row("flow", `${each.transport} from ${each.remote}`),
      ...row("access", each.accessNetwork ?? "not told (no P-Access-Network-Info)"),
      ...row("registered", `${duration(now - each.registeredAt)} ago, expires in ${duration(each.expiresInMs)}`),
      ...row(
        "indications",
        `UE e2ae ${sign(told.ueE2ae)}  UE e2e SDES ${sign(told.ueE2eSdes)}  UE e2e KMS ${sign(told.ueE2eKms)}  network e2ae ${sign(told.networkE2ae)}`,
      ),
      ...row("dialect", each.dialect),
      ...row("policy", each.policy),
      ...(each.mode === "sdes-phone"
        ? row("phone mode", each.offersSdes === true ? "has shown SRTP and is offered it" : "has not shown SRTP yet")
        : []),
      ...row("protection", reason === undefined ? "e2ae is available" : `no e2ae: ${reason}`),
      ...(meaning === undefined ? [] : row("", [meaning.means, meaning.advice ?? ""].join(" ").trim())),
    ];
  });

export const callList = (answer: Calls, paper: Paper): Lines => {
  if (answer.calls.length === 0)
    return answer.offset > 0 ? [`no more than ${plural(answer.total, "call leg")}`] : ["no calls"];
  return [
    ...table(
      [
        { title: "ID" },
        { title: "UE", least: 16 },
        { title: "DIR" },
        { title: "PHASE", least: 5 },
        { title: "TIME", align: "right" },
        { title: "SECURITY" },
        { title: "REASON", least: 14 },
      ],
      answer.calls.map((call) => [
        shortId(call.id),
        bare(call.aor),
        call.direction.slice(0, 4),
        call.phase,
        lasting(call, answer.now),
        call.security,
        call.reason,
      ]),
      paper.columns,
      painter(paper),
    ),
    ...rest(answer.calls.length, answer),
  ];
};

type GatewayAnswer = Gateways["gateways"][number];

const stateOf = ({ state, draining, contexts }: GatewayAnswer): string =>
  draining && state === "up" ? (contexts === 0 ? "drained" : "draining") : state;

const holds = ({ contexts, capacity }: GatewayAnswer): string =>
  capacity === undefined ? String(contexts) : `${contexts}/${capacity}`;

const percent = ({ load }: GatewayAnswer): string => (load === undefined ? "" : `${Math.round(load * 100)}%`);

export const gatewayList = ({ gateways }: Gateways, paper: Paper): Lines => {
  if (gateways.length === 0) return ["no gateways"];
  const loads = gateways.some(({ load }) => load !== undefined);
  return table(
    [
      { title: "GATEWAY", least: 6 },
      { title: "STATE" },
      { title: "HEALTH" },
      { title: "KEYS" },
      { title: "CONTEXTS", align: "right" },
      ...(loads ? [{ title: "LOAD", align: "right" } as const] : []),
      { title: "FROM", least: 10 },
      { title: "WHY", least: 10 },
    ],
    gateways.map((each) => [
      each.id,
      stateOf(each),
      each.health === "down" ? "" : each.health,
      each.protected ? "yes" : "no",
      holds(each),
      ...(loads ? [percent(each)] : []),
      each.remote === undefined ? "" : `${each.protocol ?? ""} ${each.remote}`.trim(),
      gatewayReason(each.reason ?? ""),
    ]),
    paper.columns,
    painter(paper),
  );
};

/** What a command about one gateway leaves on the screen. */
export const gatewayLine = (gateway: GatewayAnswer, paper: Paper): Lines => {
  const { id, contexts, reason = "" } = gateway;
  const words: Readonly<Record<string, string>> = {
    up: "takes new calls",
    draining: `takes no new calls; ${plural(contexts, "call")} to go`,
    drained: "takes no new calls and holds none: it may be stopped",
    leaving: "is leaving",
    down: "is down",
  };
  const state = stateOf(gateway);
  return hang(
    `gateway ${clean(id)} `,
    clean(`${words[state] ?? state}${reason === "" ? "" : `: ${gatewayReason(reason)}`}`),
    paper.columns,
  );
};
