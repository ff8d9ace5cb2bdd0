// What a gateway's registration says of itself, in words: method and reason of its ServiceChange. H.248.1 7.2.8, H.248.8. Owns wording only.

const words: Readonly<Record<string, string>> = {
  "Restart 900": "service restored",
  "Restart 901": "cold start",
  "Restart 902": "warm start",
  "Restart 918": "leave called off",
  "Disconnected 900": "came back with its calls",
  "HandOff 903": "handed over by another edge",
  "Failover 909": "came from an edge that fails",
  "Forced 905": "taken out of service",
  "Forced 908": "about to fail",
  "Graceful 905": "being taken out of service",
};

/** `Restart 901` becomes `cold start (901)`; what is no such pair, or one without words here, stays. */
export const gatewayReason = (reason: string): string =>
  reason.replace(/^([A-Za-z]{4,12}) (\d{3})\b/, (whole, _method: string, code: string) => {
    const said = words[whole];
    return said === undefined ? whole : `${said} (${code})`;
  });
