// Owns a short memory for pure readers of text: the layers above each other read the same few values of one message.
// Must not know what is read.

/**
 * `read`, answering from its last `places` results where the text is the same. Results are shared, so they must be
 * immutable; what is kept is bounded by `places` texts of one message each.
 */
export const recalling = <T>(read: (text: string) => T, places: number): ((text: string) => T) => {
  const texts: string[] = [];
  const results: T[] = [];
  let next = 0;
  return (text) => {
    // Equal texts of different messages count as well; different ones mostly differ in length already.
    for (let at = 0; at < texts.length; at += 1) if (texts[at] === text) return results[at]!;
    const result = read(text);
    texts[next] = text;
    results[next] = result;
    next = (next + 1) % places;
    return result;
  };
};
