// What the demonstration prints: the ladder, the media ribbon and the verdict. Pure text.
import { ladderText } from "../ladder/text.ts";
import type { RibbonSegment } from "../ladder/picture.ts";
import { verdictRows, verdictText } from "../verdict/table.ts";
import type { Story } from "./scenario.ts";

/** The media path of the call, hop by hop, for the picture. */
export const ribbonOf = ({ cast }: Story): readonly RibbonSegment[] => [
  { from: cast.ueA, to: cast.gatewayA, protected: true, label: "SRTP (K11, K12)" },
  { from: cast.gatewayA, to: cast.gatewayB, protected: false, label: "RTP" },
  { from: cast.gatewayB, to: cast.ueB, protected: true, label: "SRTP (K21, K22)" },
];

const ribbonLine = "o9 t9  |######## SRTP #######|-------- RTP --------|######## SRTP #######|";

export const storyText = (story: Story): readonly string[] => {
  const { plain } = story.facts;
  return [
    "",
    ...ladderText(story.cast, story.ladder, [
      ribbonLine,
      `       K11, K12 at GW A, K21, K22 at GW B; ${plain.equal} of alice's ${plain.sent} packets inside`,
    ]),
    "",
    ...verdictText(verdictRows(story.facts)),
  ];
};

export const allPassed = (story: Story): boolean => verdictRows(story.facts).every(({ passed }) => passed);
