// The two places where a P-CSCF writes into digest headers. Pure. TS 24.229 5.2.2: integrity-protected in, ik and ck out.
import { headerValues, replaceHeader, splitList, unquote, type SipRequest, type SipResponse } from "@sallyport/sip";

export type IntegrityProtected = "tls-pending" | "tls-yes";

/** `Digest a=1, b="2"` edited parameter by parameter; everything kept stays as written. */
const editParams = (value: string, edit: (params: readonly string[]) => readonly string[]): string => {
  const cut = value.search(/\s/);
  if (cut < 0) return value;
  const before = splitList(value.slice(cut + 1));
  const after = edit(before);
  return after.length === before.length && after.every((param, index) => param === before[index])
    ? value
    : `${value.slice(0, cut)} ${after.join(", ")}`;
};

const isNamed = (param: string, names: readonly string[]): boolean =>
  names.includes((param.split("=")[0] ?? "").trim().toLowerCase());

const editHeader = <M extends SipRequest | SipResponse>(
  message: M,
  name: string,
  edit: (params: readonly string[]) => readonly string[],
): M => {
  const before = headerValues(message, name);
  const after = before.map((value) => editParams(value, edit));
  return after.every((value, index) => value === before[index]) ? message : replaceHeader(message, name, after);
};

/** Whatever the UE claimed goes; what we know is written. */
export const markIntegrity = (request: SipRequest, mark: IntegrityProtected | undefined): SipRequest =>
  editHeader(request, "authorization", (params) => [
    ...params.filter((param) => !isNamed(param, ["integrity-protected"])),
    ...(mark === undefined ? [] : [`integrity-protected="${mark}"`]),
  ]);

/** The cipher and integrity keys of AKA are for the P-CSCF alone. */
export const withoutAkaKeys = (response: SipResponse): SipResponse =>
  editHeader(response, "www-authenticate", (params) => params.filter((param) => !isNamed(param, ["ik", "ck"])));

/**
 * Whether a request answers a challenge. A UE may send Authorization with an empty response in its very first REGISTER
 * (TS 24.229 5.1.1.2.2): that one will be challenged.
 */
export const answersChallenge = (request: SipRequest): boolean =>
  headerValues(request, "authorization").some((value) =>
    splitList(value.slice(Math.max(0, value.search(/\s/)))).some(
      (param) => isNamed(param, ["response"]) && unquote(param.slice(param.indexOf("=") + 1).trim()) !== "",
    ),
  );
