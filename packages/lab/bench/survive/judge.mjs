// What a survival run has to show, judged from what the phones wrote down and what the elements hold at the end. Pure.
const tally = (items) => {
  const counts = {};
  for (const item of items) counts[item] = (counts[item] ?? 0) + 1;
  return counts;
};

const wellEnded = ({ calling, called }) => calling.ended === "bye" && called?.ended === "bye";
const isOver = ({ calling, called }) =>
  calling.ended !== undefined && (called === undefined || called.ended !== undefined);
const shown = ({ number, calling, called, kills = [] }) =>
  `call ${number} (${calling.ended ?? "alive"}${calling.status === undefined ? "" : ` after ${calling.status}`}, byes ${calling.byes ?? "-"} | ` +
  `${called?.ended ?? (called === undefined ? "not reached" : "alive")}, byes ${called?.byes ?? "-"}; kills ${JSON.stringify(kills)})`;

/** Packets of one direction that did not arrive, and how many of them left while an edge was dead. */
const lossOf = (from, to, kills) => {
  const lost = from.sentAt.flatMap((at, number) => (to.heard.has(number) ? [] : [at]));
  return {
    sent: from.sentAt.length,
    lost: lost.length,
    overKills: lost.filter((at) =>
      kills.some((kill) => at >= kill.at - 100 && at <= kill.at + kill.backAfterMs + 2_000),
    ).length,
  };
};

export const judge = ({ protocol, calls, kills, over, counts, gatewayPorts, phones, log, linger }) => {
  const broken = [];
  const must = (holds, what) => void (holds || broken.push(what));
  const meetings = ({ kills: met = [] }) => met;
  const whileAway = ({ bornAt }) =>
    kills.some(({ at, gatewayAfterMs }) => bornAt >= at && bornAt <= at + gatewayAfterMs);
  // Being set up or taken down at one of its kills; else up at each of them; else untouched.
  const unsettled = calls.filter((call) => meetings(call).some(({ established }) => !established));
  const survived = calls.filter(
    (call) => meetings(call).length > 0 && meetings(call).every(({ established }) => established),
  );
  const meanwhile = calls.filter((call) => meetings(call).length === 0 && whileAway(call));
  const quiet = calls.filter((call) => meetings(call).length === 0 && !whileAway(call));
  for (const call of survived.filter((each) => !wellEnded(each)))
    broken.push(`an established call was lost: ${shown(call)}`);
  for (const call of quiet.filter((each) => !wellEnded(each)))
    broken.push(`a call no kill touched failed: ${shown(call)}`);
  for (const call of calls.filter((each) => !isOver(each))) broken.push(`a call never ended: ${shown(call)}`);
  const turnedAway = meanwhile.filter((call) => !wellEnded(call));
  // What was written into a connection that was dying is not said again (RFC 3261 17.1.1.2): its caller gives up.
  const unheard = ({ calling, called }) => protocol !== "udp" && called === undefined && calling.ended === "gave up";
  const refused = ({ calling }) => /^refused (?:480|500|503)$/.test(calling.ended ?? "");
  for (const call of turnedAway.filter((each) => !refused(each) && !unheard(each)))
    broken.push(`a call made while the edge was away came to nothing: ${shown(call)}`);
  must(over, "calls were still alive at the end");

  // Every registered phone was called between each kill and the next, on the registration it has.
  const windows = kills.map(({ at }, index) => [at, kills[index + 1]?.at ?? Number.POSITIVE_INFINITY]);
  for (const [index, [from, to]] of windows.entries()) {
    const reached = new Set(
      calls.filter(({ reachedAt = 0 }) => reachedAt > from && reachedAt < to).map(({ callee }) => callee),
    );
    const missing = phones.callees.filter((callee) => !reached.has(callee));
    must(missing.length === 0, `not called after kill ${index + 1}: phones ${missing.join(", ")}`);
  }
  // On UDP nobody registers again; on a new connection those do that want to call, or to hang up.
  const again = phones.registers - phones.registered;
  must(again <= (protocol === "udp" ? 0 : kills.length * phones.count), `${again} phones registered again`);
  must(phones.unexpected.length === 0, `requests of no call: ${phones.unexpected.slice(0, 3).join("; ")}`);

  const media = calls.filter(
    ({ sample, calling, called }) => sample && (calling.media?.sentAt.length ?? 0) > 0 && called?.media !== undefined,
  );
  const losses = media
    .filter((call) => wellEnded(call) && !unsettled.includes(call))
    .flatMap(({ calling, called }) => [
      lossOf(calling.media, called.media, kills),
      lossOf(called.media, calling.media, kills),
    ]);
  const total = (of) => losses.reduce((sum, loss) => sum + loss[of], 0);
  must(
    total("lost") === 0,
    `${total("lost")} of ${total("sent")} packets were lost, ${total("overKills")} of them around kills`,
  );
  must(total("sent") > 0, "no media was sent");
  const unopened = media.reduce((sum, { calling, called }) => sum + calling.media.refused + called.media.refused, 0);
  must(unopened === 0, `${unopened} packets could not be opened`);

  must(
    counts !== undefined && counts.calls === 0 && counts.contexts === 0 && (!linger || counts.transactions === 0),
    `the edge still holds ${JSON.stringify(counts)}`,
  );
  must(counts?.registrations === phones.count, `${counts?.registrations} of ${phones.count} registrations are left`);
  must(
    kills.every(({ ports, established }) => established === 0 || ports >= 4 * established),
    "the gateway held fewer media ports than the calls that were up need: its ports were not seen",
  );
  must(gatewayPorts === 0, `the gateway still has ${gatewayPorts} media ports open`);
  const errors =
    [...kills.map(({ logged }) => logged), log].join("\n").match(/^.*"level":"(?:error|fatal)".*$/gm) ?? [];
  must(errors.length === 0, `the edge logged errors: ${errors[0]}`);

  return {
    protocol,
    broken,
    kills: kills.map(({ at, backAfterMs, gatewayAfterMs, established, unsettled: others }) => ({
      at,
      backAfterMs,
      gatewayAfterMs,
      established,
      unsettled: others,
    })),
    calls: {
      total: calls.length,
      survived: survived.length,
      unsettled: unsettled.length,
      meanwhile: meanwhile.length,
      turnedAway: turnedAway.length,
      unheard: turnedAway.filter(unheard).length,
      /** The called end believed in a call whose caller had long given up, until it hung up. */
      ghosts: calls.filter(({ ghost }) => ghost === true).length,
      /** How calls in set-up or being ended at a kill came out, caller and callee. */
      unsettledEnds: tally(
        unsettled.map(({ calling, called }) => `${calling.ended} / ${called?.ended ?? "not reached"}`),
      ),
    },
    registeredAgain: again,
    media: { calls: media.length, sent: total("sent"), lost: total("lost"), overKills: total("overKills") },
  };
};
