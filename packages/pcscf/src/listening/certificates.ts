// Keeps the certificates of the SIP listening points as they are on the disk, so that they can be renewed while calls and
// registrations go on: connections that are open keep theirs. Knows neither messages nor peers. RFC 5922 7.1.
import type { Clock, Log, Timer } from "@sallyport/kit";
import type { SipTransport, TlsMaterial } from "@sallyport/sip";
import type { EdgeConfig } from "../config.ts";
import { readTls } from "../files.ts";
import type { ListeningPoint } from "./points.ts";

type TlsFiles = NonNullable<EdgeConfig["access"][number]["tls"]>;

const lookMs = 60_000;

interface Watched {
  readonly name: string;
  readonly files: TlsFiles;
  /** What is shown; undefined before the first look. */
  shown: TlsMaterial | undefined;
  /** Why the files could not be taken, as told in the log: once for each reason. */
  told: string | undefined;
}

const same = (a: TlsMaterial, b: TlsMaterial): boolean => a.key === b.key && a.cert === b.cert && a.ca === b.ca;

/** @param listeners of the configuration, in the order of their points */
export const watchCertificates = (
  points: readonly ListeningPoint[],
  listeners: readonly { readonly tls?: TlsFiles | undefined }[],
  {
    clock,
    log,
    transport,
  }: { readonly clock: Clock; readonly log: Log; readonly transport: Pick<SipTransport, "renew"> },
): { close(): void } => {
  const watched = points.flatMap(({ name }, at): readonly Watched[] => {
    const files = listeners[at]?.tls;
    return files === undefined ? [] : [{ name, files, shown: undefined, told: undefined }];
  });
  let timer: Timer | undefined;
  let closed = false;

  const renew = async (each: Watched): Promise<void> => {
    try {
      const found = await readTls(each.files);
      if (closed || (each.shown !== undefined && same(each.shown, found))) return;
      // At the first look this is what the start read: to say it again costs nothing.
      transport.renew(each.name, found);
      if (each.shown !== undefined) log.info("certificate renewed", { listener: each.name });
      each.shown = found;
      each.told = undefined;
    } catch (error) {
      // Files are written one after the other: what does not fit together yet is looked at again.
      const reason = String(error);
      if (each.told !== reason) log.warn("certificate not renewed", { listener: each.name, error: reason });
      each.told = reason;
    }
  };
  const look = async (): Promise<void> => {
    for (const each of watched) await renew(each);
    if (!closed) timer = clock.after(lookMs, () => void look());
  };
  if (watched.length > 0) void look();

  return {
    close: () => {
      closed = true;
      timer?.cancel();
    },
  };
};
