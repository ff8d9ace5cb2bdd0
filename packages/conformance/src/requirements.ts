// What TS 33.328 asks for end-to-access-edge security, one row for each "shall" and each numbered step, in our own words.
// A test proves a row when its title begins with the row's name: "TS 33.328 7.2.1 step 3: ...", "TS 33.328 7.1 (a): ...".

export interface Requirement {
  /** The clause of TS 33.328. */
  readonly clause: string;
  /** `step 3` for a numbered step, `(a)` for a sentence with "shall", counted from the clause's beginning. */
  readonly part: string;
  /** Whom it binds. */
  readonly who: "P-CSCF" | "IMS-AGW" | "UE" | "network" | "Iq" | "SIP";
  readonly asks: string;
}

const row = (clause: string, part: string, who: Requirement["who"], asks: string): Requirement => ({
  clause,
  part,
  who,
  asks,
});

export const requirements: readonly Requirement[] = [
  row("4.1.2.1", "(a)", "SIP", "SDES is used only together with the SIP signalling security of IMS"),
  row("4.2.1", "(a)", "network", "no transcoding in the path of end-to-end protected media"),
  row("4.2.1", "(b)", "network", "nodes in the path forward end-to-end SRTP packets unchanged"),
  row(
    "4.2.2",
    "(a)",
    "P-CSCF",
    "the access gateway is in the media path of every e2ae stream, also where it would not be needed otherwise",
  ),
  row("6.2.1.1", "(a)", "P-CSCF", "handles the signalling of e2ae protection"),
  row(
    "6.2.1.1",
    "(b)",
    "P-CSCF",
    "terminates the key management protocol and hands the agreed context over Iq to the gateway",
  ),
  row("6.2.1.1", "(c)", "IMS-AGW", "terminates media confidentiality and integrity towards the UE as the P-CSCF asks"),
  row("6.2.1.1", "(d)", "IMS-AGW", "sends to and receives from the network unprotected packets"),
  row("6.2.1.1", "(e)", "IMS-AGW", "sends to and receives from the UE SRTP and SRTCP"),
  row("6.2.1.1", "(f)", "IMS-AGW", "sends to and receives from the network RTP and RTCP"),
  row("6.2.1.2", "(a)", "SIP", "the key management protocol for real-time traffic is SDES (RFC 4568)"),
  row(
    "6.2.1.2",
    "(b)",
    "SIP",
    "SIP between UE and P-CSCF is confidentiality-protected: IPsec, TLS, or the access network",
  ),
  row(
    "6.2.1.3",
    "(a)",
    "P-CSCF",
    "sends the parameters of the two chosen crypto attributes over Iq at each session set-up",
  ),
  row("6.2.1.3", "(b)", "P-CSCF", "sends them so that the gateway ties each to one media stream"),
  row("6.2.1.3", "(c)", "IMS-AGW", "sets up the SRTP context on receipt and is ready to convert RTP to SRTP and back"),
  row("6.2.1.3", "(d)", "Iq", "is protected by NDS/IP; the keys on it are confidential"),
  row("7.1", "(a)", "UE", "indicates e2ae support in the initial REGISTER unless its policy says otherwise"),
  row("7.1", "(b)", "network", "stores the indications of the UE"),
  row(
    "7.1",
    "(c)",
    "network",
    "has the stored indications at hand at the P-CSCF when a terminating set-up request arrives",
  ),
  row(
    "7.1",
    "(d)",
    "network",
    "indicates e2ae support to the UE during registration when it is capable and policy prefers it",
  ),
  row("7.1", "(e)", "UE", "stores the indication of the network for originating set-ups"),
  row(
    "7.2.1",
    "(a)",
    "UE",
    "requests e2ae when both indicated support, unless it prefers end-to-end security for the session",
  ),
  row(
    "7.2.1",
    "step 1",
    "UE",
    "offers SRTP with one or more crypto attributes, each with a key K11, and the indication `requested`",
  ),
  row(
    "7.2.1",
    "step 2",
    "P-CSCF",
    "looks for the indication, reserves the gateway when it is there, leaves the offer alone when it is not",
  ),
  row(
    "7.2.1",
    "step 3",
    "P-CSCF",
    "changes SRTP to RTP, chooses one crypto attribute, removes all of them and the indication, sends the offer on",
  ),
  row("7.2.1", "step 4", "network", "the S-CSCF forwards the offer to the terminating network"),
  row("7.2.1", "step 5", "network", "the S-CSCF receives the answer"),
  row("7.2.1", "step 6", "network", "the S-CSCF forwards the answer to the P-CSCF"),
  row("7.2.1", "step 7", "P-CSCF", "makes K12 and gives K11 (decrypt) and K12 (encrypt) to the gateway"),
  row(
    "7.2.1",
    "step 8",
    "P-CSCF",
    "changes RTP to SRTP in the answer, adds one crypto attribute with K12 and the confirmation, sends it to the UE",
  ),
  row("7.2.1", "step 9", "IMS-AGW", "protected media runs between UE and gateway, plain media behind it"),
  row("7.2.1", "(b)", "P-CSCF", "removes a confirmation that another party inserted in a SIP message"),
  row("7.3.1", "(a)", "P-CSCF", "establishes e2ae when both indicated support and the core offers RTP"),
  row("7.3.1", "step 1", "network", "the S-CSCF receives an offer for RTP"),
  row("7.3.1", "step 2", "network", "the S-CSCF forwards the offer to the P-CSCF"),
  row(
    "7.3.1",
    "step 3",
    "P-CSCF",
    "checks that both indicated support, then reserves the gateway; otherwise goes on without",
  ),
  row(
    "7.3.1",
    "step 4",
    "P-CSCF",
    "changes RTP to SRTP, adds one or more crypto attributes with K21 and the indication, sends the offer to the UE",
  ),
  row("7.3.1", "step 5", "UE", "chooses one crypto attribute and answers SRTP with one crypto attribute with K22"),
  row("7.3.1", "step 6", "P-CSCF", "gives K22 (decrypt) and K21 (encrypt) to the gateway"),
  row(
    "7.3.1",
    "step 7",
    "P-CSCF",
    "changes SRTP to RTP in the answer, removes the crypto attribute, sends it to the S-CSCF",
  ),
  row("7.3.1", "step 8", "network", "the S-CSCF forwards the answer to the originating network"),
  row("7.3.1", "step 9", "IMS-AGW", "protected media runs between UE and gateway, plain media behind it"),
  row(
    "7.3.1",
    "(b)",
    "P-CSCF",
    "removes an indication of e2ae offered by the network that another party inserted in a SIP message",
  ),
];

/** `TS 33.328 7.2.1 step 3`: how a test title begins that proves this row. */
export const requirementName = ({ clause, part }: Requirement): string => `TS 33.328 ${clause} ${part}`;
