// Owns the keywords of the text encoding: long and short forms (H.248.1 Annex B.2), and which stand where.
// Any keyword may be a plain name elsewhere, so that a word is only looked up in the vocabulary of its place.

const shortForms = {
  Transaction: "T",
  Reply: "P",
  Pending: "PN",
  TransactionResponseAck: "K",
  Segment: "SM",
  ImmAckRequired: "IA",
  Context: "C",
  Priority: "PR",
  Emergency: "EG",
  EmergencyOff: "EGO",
  IEPSCall: "IEPS",
  Topology: "TP",
  Isolate: "IS",
  Oneway: "OW",
  Bothway: "BW",
  OnewayExternal: "OWE",
  OnewayBoth: "OWB",
  ContextAudit: "CA",
  Add: "A",
  Move: "MV",
  Modify: "MF",
  Subtract: "S",
  AuditValue: "AV",
  AuditCapability: "AC",
  Notify: "N",
  ServiceChange: "SC",
  Media: "M",
  Stream: "ST",
  LocalControl: "O",
  Local: "L",
  Remote: "R",
  Mode: "MO",
  SendOnly: "SO",
  ReceiveOnly: "RC",
  SendReceive: "SR",
  Inactive: "IN",
  LoopBack: "LB",
  ReservedValue: "RV",
  ReservedGroup: "RG",
  TerminationState: "TS",
  ServiceStates: "SI",
  InService: "IV",
  OutOfService: "OS",
  Test: "TE",
  Buffer: "BF",
  LockStep: "SP",
  On: "ON",
  Off: "OFF",
  Modem: "MD",
  Mux: "MX",
  Events: "E",
  EventBuffer: "EB",
  Embed: "EM",
  KeepActive: "KA",
  NeverNotify: "NBNN",
  ResetEventsDescriptor: "RSE",
  ObservedEvents: "OE",
  Signals: "SG",
  SignalList: "SL",
  SignalType: "SY",
  OnOff: "OO",
  TimeOut: "TO",
  Brief: "BR",
  Duration: "DR",
  NotifyCompletion: "NC",
  IntByEvent: "IBE",
  IntBySigDescr: "IBS",
  OtherReason: "OR",
  Direction: "SPADI",
  External: "EX",
  Internal: "IT",
  Both: "B",
  RequestID: "SPARQ",
  DigitMap: "DM",
  Audit: "AT",
  Packages: "PG",
  Statistics: "SA",
  Error: "ER",
  Services: "SV",
  Method: "MT",
  Restart: "RS",
  Forced: "FO",
  Graceful: "GR",
  Disconnected: "DC",
  HandOff: "HO",
  Failover: "FL",
  Reason: "RE",
  Delay: "DL",
  Version: "V",
  Profile: "PF",
  ServiceChangeAddress: "AD",
  MgcIdToTry: "MG",
  ServiceChangeInc: "SIC",
  Authentication: "AU",
} as const;

export type Keyword = keyof typeof shortForms;

export const shortForm = (keyword: Keyword): string => shortForms[keyword];

/** The keywords that may stand at one place, by long and short form: as the standard writes them, and in lower case. */
export type Vocabulary<K extends Keyword> = ReadonlyMap<string, K>;

export const vocabulary = <const K extends Keyword>(...keywords: readonly K[]): Vocabulary<K> => {
  const words = new Map<string, K>();
  for (const keyword of keywords)
    for (const form of [keyword, shortForms[keyword]]) words.set(form, keyword).set(form.toLowerCase(), keyword);
  return words;
};

export const onOff = vocabulary("On", "Off");
export const streamKeyword = vocabulary("Stream");
export const streamModes = vocabulary("SendOnly", "ReceiveOnly", "SendReceive", "Inactive", "LoopBack");
export const commands = vocabulary(
  "Add",
  "Move",
  "Modify",
  "Subtract",
  "AuditValue",
  "AuditCapability",
  "Notify",
  "ServiceChange",
);
export const auditable = vocabulary(
  "Media",
  "Signals",
  "Events",
  "EventBuffer",
  "ObservedEvents",
  "Packages",
  "Statistics",
  "DigitMap",
  "Mux",
  "Modem",
);
