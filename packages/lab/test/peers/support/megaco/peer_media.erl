%% One stream of one termination of the Erlang gateway: a port for RTP and one for RTCP, SRTP where keys were given.
%% RFC 3711 with AES_CM_128_HMAC_SHA1_80 alone, written on OTP's crypto; RTCP passes only between clear sides.
-module(peer_media).
-export([start/0, change/2, join/2, close/1, counts/1]).

start() ->
    Self = self(),
    Pid = spawn(fun() ->
        {Rtp, Rtcp, Port} = pair(50),
        Self ! {self(), Port},
        loop(#{rtp => Rtp, rtcp => Rtcp, in => 0, out => 0, refused => 0})
    end),
    receive {Pid, Port} -> {Pid, Port} end.

%% `local`, `remote`: master key and salt, 30 octets, or none; `to`: {address, port}; `mode`.
change(Pid, Change) -> Pid ! {change, Change}, ok.
join(One, Other) -> One ! {join, Other}, Other ! {join, One}, ok.
close(Pid) -> Pid ! close, ok.
counts(Pid) ->
    Pid ! {counts, self()},
    receive {Pid, Counts} -> Counts after 1000 -> {0, 0, 0} end.

pair(Tries) when Tries > 0 ->
    Options = [binary, {ip, {127, 0, 0, 1}}, {active, true}],
    {ok, Rtp} = gen_udp:open(0, Options),
    {ok, Port} = inet:port(Rtp),
    case Port rem 2 =:= 0 andalso gen_udp:open(Port + 1, Options) of
        {ok, Rtcp} -> {Rtp, Rtcp, Port};
        _ -> gen_udp:close(Rtp), pair(Tries - 1)
    end.

loop(#{rtp := Rtp, rtcp := Rtcp} = State) ->
    receive
        {change, Change} -> loop(maps:fold(fun set/3, State, Change));
        {join, Other} -> loop(State#{peer => Other});
        {counts, Who} -> Who ! {self(), {maps:get(in, State), maps:get(out, State), maps:get(refused, State)}}, loop(State);
        close -> gen_udp:close(Rtp), gen_udp:close(Rtcp);
        {udp, Rtp, _, _, Packet} -> loop(received(Packet, State));
        {udp, Rtcp, _, _, Packet} -> pass({rtcp, Packet}, State), loop(State);
        {rtp, Packet} -> loop(send(Packet, State));
        {rtcp, Packet} -> send_rtcp(Packet, State), loop(State)
    end.

set(local, Key, State) -> key(local, Key, State);
set(remote, Key, State) -> key(remote, Key, State);
set(What, Value, State) -> State#{What => Value}.

%% The same key again leaves the context as it is: RFC 4568 7.1.4.
key(Side, Master, State) ->
    case maps:get(Side, State, none) of
        #{master := Master} -> State;
        _ when Master =:= none -> State#{Side => none};
        _ -> State#{Side => derive(Master)}
    end.

pass(What, State) ->
    case State of
        #{peer := Peer} -> Peer ! What, ok;
        _ -> ok
    end.

receives(State) -> lists:member(maps:get(mode, State, inactive), [sendRecv, recvOnly]).
sends(State) -> lists:member(maps:get(mode, State, inactive), [sendRecv, sendOnly]).

received(Packet, #{in := In, refused := Refused} = State) ->
    case receives(State) andalso open(Packet, State) of
        {ok, Plain, Next} -> pass({rtp, Plain}, Next), Next#{in := In + 1};
        _ -> State#{refused := Refused + 1}
    end.

open(Packet, State) ->
    case maps:get(remote, State, none) of
        none -> case State of #{secure := true} -> refused; _ -> {ok, Packet, State} end;
        Context when byte_size(Packet) > 22 ->
            Length = byte_size(Packet) - 10,
            <<Sealed:Length/binary, Tag:10/binary>> = Packet,
            {Index, Next} = index(Sealed, Context),
            case tag(Sealed, Index bsr 16, Context) of
                Tag -> {ok, crypt(Sealed, Index, Context), State#{remote := Next}};
                _ -> refused
            end;
        _ -> refused
    end.

send(Packet, #{rtp := Rtp, out := Out} = State) ->
    case sends(State) andalso State of
        #{to := {Address, Port}, secure := true, local := Context} when is_map(Context) ->
            {Index, Next} = index(Packet, Context),
            Sealed = crypt(Packet, Index, Context),
            gen_udp:send(Rtp, Address, Port, [Sealed, tag(Sealed, Index bsr 16, Context)]),
            State#{local := Next, out := Out + 1};
        #{to := {Address, Port}, secure := false} ->
            gen_udp:send(Rtp, Address, Port, Packet),
            State#{out := Out + 1};
        _ -> State
    end.

send_rtcp(Packet, #{rtcp := Rtcp, to := {Address, Port}, secure := false}) -> gen_udp:send(Rtcp, Address, Port + 1, Packet);
send_rtcp(_, _) -> ok.

%% RFC 3711 4.3.1: AES in counter mode over label and salt.
derive(<<Key:16/binary, Salt:112>> = Master) ->
    From = fun(Label, Length) ->
        Start = (Salt bxor (Label bsl 48)) bsl 16,
        crypto:crypto_one_time(aes_128_ctr, Key, <<Start:128>>, <<0:(Length * 8)>>, true)
    end,
    <<SessionSalt:112>> = From(2, 14),
    #{master => Master, key => From(0, 16), auth => From(1, 20), salt => SessionSalt, sources => #{}}.

%% RFC 3711 3.3.1, without guesses far behind.
index(<<_:16, Sequence:16, _:32, Source:32, _/binary>>, #{sources := Sources} = Context) ->
    {Last, Roll} = maps:get(Source, Sources, {Sequence, 0}),
    Guess = if
        Sequence - Last > 32768, Roll > 0 -> Roll - 1;
        Last - Sequence > 32768 -> Roll + 1;
        true -> Roll
    end,
    Kept = if Guess > Roll; Guess =:= Roll, Sequence > Last -> {Sequence, Guess}; true -> {Last, Roll} end,
    {Guess bsl 16 + Sequence, Context#{sources := Sources#{Source => Kept}}}.

crypt(<<2:2, _:1, Extension:1, Sources:4, _/binary>> = Packet, Index, #{key := Key, salt := Salt}) ->
    Fixed = 12 + 4 * Sources,
    Header = case {Extension, Packet} of
        {1, <<_:Fixed/binary, _:16, Words:16, _/binary>>} -> Fixed + 4 + 4 * Words;
        _ -> Fixed
    end,
    <<Start:Header/binary, Payload/binary>> = Packet,
    <<_:64, Source:32, _/binary>> = Packet,
    Vector = (Salt bsl 16) bxor (Source bsl 64) bxor (Index bsl 16),
    <<Start/binary, (crypto:crypto_one_time(aes_128_ctr, Key, <<Vector:128>>, Payload, true))/binary>>.

tag(Packet, Roll, #{auth := Key}) -> crypto:macN(hmac, sha, Key, [Packet, <<Roll:32>>], 10).
