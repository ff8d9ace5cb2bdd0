// The key behind the tokens of Path and Record-Route: the same over a restart, so that both still lead to us.
// Sealed in the store where there is a seal. RFC 3327 5.2, RFC 5626 5.2.
import { Secret, type Random } from "@sallyport/kit";
import { storeErrors, type Sealer, type StateStore } from "@sallyport/store";

const bucket = "pcscf/tokens";
const place = "key";
const octets = 32;

const isSealed = (text: string): boolean => text.startsWith("s1.");

/**
 * The kept key, or a fresh one that is kept from now on. One that lies there in plain text is sealed.
 * @throws SALLY_STORE_*, SALLY_STORE_SEALED where it was sealed with a key that was not given: with another token key no
 * registered UE could be called before it registers again, and no kept call taken up
 */
export const tokenKey = async (store: StateStore, sealer: Sealer | undefined, random: Random): Promise<Buffer> => {
  const kept = await store.get(bucket, place);
  const text = typeof kept === "string" ? kept : undefined;
  let key: Buffer;
  if (text !== undefined && isSealed(text)) {
    if (sealer === undefined)
      throw storeErrors("SALLY_STORE_SEALED", "It was sealed, and store.sealing names no key.", { where: bucket });
    const secret = sealer.open(bucket, place, text);
    key = secret.use((found) => Buffer.from(found));
    secret.release();
    if (!sealer.isOutdated(text)) return key;
  } else {
    key = text === undefined ? random.bytes(octets) : Buffer.from(text, "base64url");
    if (sealer === undefined && text !== undefined) return key;
  }
  if (sealer === undefined) {
    await store.put(bucket, place, key.toString("base64url"));
    return key;
  }
  const secret = Secret.copyOf(key);
  try {
    await store.put(bucket, place, sealer.seal(bucket, place, secret));
  } finally {
    secret.release();
  }
  return key;
};
