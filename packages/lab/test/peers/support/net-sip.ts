// Net::SIP (Perl) as a phone that knows plain RTP alone: it calls, saying one octet over and over, or answers with an echo.
import { writeFile } from "node:fs/promises";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { until } from "../../../src/demo/await.ts";
import { labCertificates } from "../../../src/topology/certificates.ts";
import { domain, passwordOf } from "./edges.ts";
import { freePort, start, temporaryFolder } from "./program.ts";

const interpreter = "perl";
export const haveNetSip = spawnSync(interpreter, ["-MNet::SIP", "-e", "1"], { stdio: "ignore" }).status === 0;

/** What it says, in PCMU. */
export const said = 0x55;

export interface NetSip {
  /** Settles when it has written that line. */
  wrote(line: RegExp): Promise<void>;
  /** RTP packets it heard, once its call has ended. */
  readonly heard: number;
  stop(): Promise<void>;
}

export interface NetSipOptions {
  readonly name: string;
  readonly edgePort: number;
  readonly transport: "udp" | "tcp" | "tls";
  /** Whom it calls; it waits for a call when left out. */
  readonly calls?: string;
}

const script = `use strict; use Net::SIP qw(:all); $| = 1;
my ($edge, $own, $user, $domain, $password, $transport, $ca, $calls) = @ARGV;
my %tls = $transport eq 'tls' ? (tls => { SSL_ca_file => $ca, SSL_verifycn_scheme => 'none' }) : ();
my $ua = Net::SIP::Simple->new(from => "<sip:$user\\@$domain>", domain => $domain, %tls,
  outgoing_proxy => "127.0.0.1:$edge;transport=$transport", auth => ["$user\\@$domain", $password],
  leg => Net::SIP::Leg->new(addr => '127.0.0.1', port => $own, proto => $transport, %tls));
$ua->register(registrar => "127.0.0.1:$edge", expires => 600) or die $ua->error;
print "registered\\n";
my ($over, $heard) = (undef, 0);
my $hear = sub { $heard++; 1 };
if ($calls) {
  $ua->invite($calls, recv_bye => \\$over,
    init_media => $ua->rtp('media_send_recv', sub { chr(${said}) x 160 }, 1, $hear)) or die $ua->error;
  print "established\\n";
} else {
  $ua->listen(recv_bye => \\$over, init_media => $ua->rtp('recv_echo', $hear));
  print "listening\\n";
}
$ua->loop(60, \\$over);
print "heard $heard\\n";
$ua->loop(0.3);
`;

export const startNetSip = async (options: NetSipOptions): Promise<NetSip> => {
  const { name, edgePort, transport, calls } = options;
  const folder = await temporaryFolder("net-sip");
  const file = join(folder.path, "phone.pl");
  await writeFile(file, script);
  const lines: string[] = [];
  const own = String(await freePort());
  const facts = [String(edgePort), own, name, domain, passwordOf(name), transport, labCertificates().ca];
  const program = start({
    program: interpreter,
    args: [file, ...facts, ...(calls === undefined ? [] : [calls])],
    folder: folder.path,
    onLine: (line) => void lines.push(line),
  });
  return {
    wrote: async (line) => {
      const has = () => lines.some((each) => line.test(each));
      await until(`${line.source} of Net::SIP ${name}`, () => has() || program.code !== undefined);
      if (!has()) throw new Error(`Net::SIP ended with ${program.code}: ${program.output}`);
    },
    get heard() {
      return Number(/^heard (?<count>\d+)$/m.exec(lines.join("\n"))?.groups?.["count"] ?? 0);
    },
    stop: async () => {
      await program.stop();
      await folder.remove();
    },
  };
};
