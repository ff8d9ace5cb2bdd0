// Seals small secrets (media keys that a restart needs) for the store, and opens them again. Owns the sealed text's form;
// must not know what is sealed. AES-256-GCM with random 96-bit nonces (NIST SP 800-38D 8.2.2) under keys that HKDF
// (RFC 5869) derives from the operator's key and a random salt, because 8.3 allows 2^32 such nonces under one key and
// the operator's key outlives every process: each sealer draws a salt of its own, and another one long before that.
import { createCipheriv, createDecipheriv, createHash, createSecretKey, hkdfSync, type KeyObject } from "node:crypto";
import { Secret, type Random } from "@sallyport/kit";
import { storeErrors } from "../errors.ts";

const version = "s1";
const saltOctets = 16;
const nonceOctets = 12;
const tagOctets = 16;
const maxSecret = 4096;
const sealsPerSalt = 2 ** 31;
const maxDerived = 256;

export interface SealerOptions {
  /** 32 octets. Copied; the caller may release its own. */
  readonly key: Secret;
  /** Keys of before, which still open what they sealed. Copied. */
  readonly previous?: readonly Secret[];
  readonly random: Random;
}

export interface Sealer {
  /** Names the key that seals, without telling anything about it: eight hexadecimal digits. */
  readonly keyId: string;
  /**
   * Seals at most 4096 octets for one place in the store: the text opens under this bucket and key only.
   * @throws SALLY_STORE_VALUE, SALLY_STORE_CLOSED
   */
  seal(bucket: string, key: string, secret: Secret): string;
  /**
   * The secret, which the caller releases.
   * @throws SALLY_STORE_SEALED (unknown key, other place, changed), SALLY_STORE_CLOSED
   */
  open(bucket: string, key: string, sealed: string): Secret;
  /** Whether the text was sealed with a previous key, so that it should be sealed anew. */
  isOutdated(sealed: string): boolean;
  /** Zeroises the keys. Harmless when repeated. */
  close(): void;
}

const derive = (octets: Buffer, salt: Buffer, purpose: string, length: number): Buffer =>
  Buffer.from(hkdfSync("sha256", octets, salt, purpose, length));

const idOf = (key: Secret): string =>
  key.use((octets) => derive(octets, Buffer.alloc(0), "sallyport sealing key id", 4).toString("hex"));

const keyFor = (key: Secret, salt: Buffer): KeyObject =>
  key.use((octets) => {
    const derived = derive(octets, salt, "sallyport seal", 32);
    const object = createSecretKey(derived);
    derived.fill(0);
    return object;
  });

// Associated data: JSON keeps bucket and key apart whatever they contain; hashed to a fixed length.
const placeOf = (bucket: string, key: string): Buffer =>
  createHash("sha256")
    .update(JSON.stringify([version, bucket, key]))
    .digest();

const checkKey = (key: Secret): Secret => {
  if (key.length !== 32) {
    throw storeErrors("SALLY_STORE_SEALING_KEY", `It has ${key.length} octets, not 32.`);
  }
  return key.copy();
};

const shape = /^s1\.([0-9a-f]{8})\.([A-Za-z0-9_-]{59,5600})$/;

/**
 * A sealer of secrets under one key.
 * @throws SALLY_STORE_SEALING_KEY when a key is not 32 octets long
 */
export const sealer = ({ key, previous = [], random }: SealerOptions): Sealer => {
  const keys = new Map<string, Secret>();
  for (const each of [key, ...previous]) {
    const own = checkKey(each);
    const id = idOf(own);
    if (keys.has(id)) own.release();
    else keys.set(id, own);
  }
  const [keyId = ""] = keys.keys();
  // Derived keys of texts that were opened: as many as there were runs, so few; bounded all the same.
  const derived = new Map<string, KeyObject>();
  let own: { readonly salt: Buffer; readonly key: KeyObject; left: number } | undefined;
  let closed = false;

  const secretOf = (id: string): Secret | undefined => {
    if (closed) throw storeErrors("SALLY_STORE_CLOSED", "The sealer is closed.");
    return keys.get(id);
  };

  const sealing = (): { readonly salt: Buffer; readonly key: KeyObject } => {
    const secret = secretOf(keyId);
    if (secret === undefined) throw storeErrors("SALLY_STORE_CLOSED", "The sealer is closed.");
    if (own === undefined || own.left === 0) {
      const salt = random.bytes(saltOctets);
      own = { salt, key: keyFor(secret, salt), left: sealsPerSalt };
    }
    own.left -= 1;
    return own;
  };

  const opening = (id: string, secret: Secret, salt: Buffer): KeyObject => {
    const name = `${id}${salt.toString("latin1")}`;
    const known = derived.get(name);
    if (known !== undefined) return known;
    const made = keyFor(secret, salt);
    if (derived.size >= maxDerived) derived.clear();
    derived.set(name, made);
    return made;
  };

  const refuse = (bucket: string, detail: string): Error =>
    storeErrors("SALLY_STORE_SEALED", detail, { where: bucket });

  return {
    keyId,
    seal: (bucket, place, secret) => {
      if (secret.length > maxSecret) {
        throw storeErrors("SALLY_STORE_VALUE", `A sealed secret has ${maxSecret} octets at most.`, { where: bucket });
      }
      const { salt, key } = sealing();
      const nonce = random.bytes(nonceOctets);
      const cipher = createCipheriv("aes-256-gcm", key, nonce, { authTagLength: tagOctets });
      cipher.setAAD(placeOf(bucket, place));
      const octets = secret.use((plain) => Buffer.concat([salt, nonce, cipher.update(plain), cipher.final()]));
      return `${version}.${keyId}.${Buffer.concat([octets, cipher.getAuthTag()]).toString("base64url")}`;
    },
    open: (bucket, place, sealed) => {
      const [, id = "", text = ""] = shape.exec(sealed) ?? [];
      const secret = secretOf(id);
      if (text === "") throw refuse(bucket, "It is not a sealed value.");
      if (secret === undefined) throw refuse(bucket, `It was sealed with key ${id}, which was not given.`);
      const octets = Buffer.from(text, "base64url");
      const salt = octets.subarray(0, saltOctets);
      const nonce = octets.subarray(saltOctets, saltOctets + nonceOctets);
      const decipher = createDecipheriv("aes-256-gcm", opening(id, secret, salt), nonce, { authTagLength: tagOctets });
      decipher.setAAD(placeOf(bucket, place));
      decipher.setAuthTag(octets.subarray(-tagOctets));
      const plain = decipher.update(octets.subarray(saltOctets + nonceOctets, -tagOctets));
      try {
        decipher.final();
      } catch {
        plain.fill(0);
        throw refuse(bucket, "It was changed, or sealed for another place or with another key.");
      }
      // Node from 22 on makes its output in a scratch buffer that it frees unwiped; the same length again takes that buffer's place.
      createCipheriv("aes-256-gcm", opening(id, secret, salt), random.bytes(nonceOctets)).update(
        Buffer.alloc(plain.length),
      );
      return Secret.take(plain);
    },
    isOutdated: (sealed) => !sealed.startsWith(`${version}.${keyId}.`),
    close: () => {
      closed = true;
      for (const secret of keys.values()) secret.release();
      keys.clear();
      derived.clear();
      own = undefined;
    },
  };
};
