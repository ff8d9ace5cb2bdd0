%% Carries H.248 for Erlang/OTP megaco: over UDP by its own transport, over TLS 1.3 with both certificates and TPKT
%% (RFC 1006, H.248.1 D.2), which it has not. Also how the peer speaks with the test: a line a command, a line an event.
-module(peer_link).
-export([start/3, listen/2, connect/2, connection/1, send_message/2]).
-export([say/2, lines/1, message/3, unhex/1]).
-export([one_by_one/0]).

%% Args: transport, our message identifier (a domain name), and for TLS certificate, key and authority.
start(Module, Transport, Name) ->
    ok = megaco:start(),
    Mid = {domainName, {'DomainName', Name, asn1_NOVALUE}},
    SendMod = case Transport of "udp" -> megaco_udp; "tls" -> ?MODULE end,
    ok = megaco:start_user(Mid, [
        {user_mod, Module}, {user_args, []}, {send_mod, SendMod},
        {encoding_mod, megaco_pretty_text_encoder}, {encoding_config, []}, {protocol_version, 1},
        {request_timer, {megaco_incr_timer, 500, 2, 0, 5}}, {reply_timer, 30000}]),
    Mid.

tls([Certificate, Key, Authority]) ->
    [{certfile, Certificate}, {keyfile, Key}, {cacertfile, Authority}, {verify, verify_peer},
     {versions, ['tlsv1.3']}, {active, false}, {mode, binary}, {packet, raw}].

listen(Mid, ["udp", Port]) ->
    {ok, Transport} = megaco_udp:start_transport(),
    %% A datagram may be as long as UDP allows; several come at once.
    {ok, _, _} = megaco_udp:open(Transport, [{port, list_to_integer(Port)},
        {udp_options, [{ip, {127, 0, 0, 1}}, {buffer, 65536}, {recbuf, 524288}]},
        {serialize, persistent_term:get({?MODULE, serialize}, false)},
        {receive_handle, megaco:user_info(Mid, receive_handle)}]),
    ok;
listen(Mid, ["tls", Port | Files]) ->
    {ok, _} = application:ensure_all_started(ssl),
    {ok, Socket} = ssl:listen(list_to_integer(Port),
        [{ip, {127, 0, 0, 1}}, {reuseaddr, true}, {fail_if_no_peer_cert, true} | tls(Files)]),
    spawn(fun() -> accept(Mid, Socket) end),
    ok.

accept(Mid, Listening) ->
    {ok, Accepted} = ssl:transport_accept(Listening),
    spawn(fun() -> accept(Mid, Listening) end),
    case ssl:handshake(Accepted) of
        {ok, Socket} -> read(megaco:user_info(Mid, receive_handle), Socket, <<>>);
        {error, Reason} -> say("refused-connection", io_lib:format("~0p", [Reason]))
    end.

%% Datagrams are worked off as they come. Else megaco has a process for each, and loses count of segments that it reads
%% side by side: it acknowledges all of them and then misses one (`segment_timeout`).
one_by_one() -> persistent_term:put({?MODULE, serialize}, true).

%% Opens an association; the controller's identifier is not known before its first reply.
connect(Mid, ["udp", Port]) ->
    {ok, Transport} = megaco_udp:start_transport(),
    {ok, Handle, Control} = megaco_udp:open(Transport, [{port, 0}, {udp_options, [{ip, {127, 0, 0, 1}}]},
        {receive_handle, megaco:user_info(Mid, receive_handle)}]),
    To = megaco_udp:create_send_handle(Handle, {127, 0, 0, 1}, list_to_integer(Port)),
    {ok, _} = megaco:connect(megaco:user_info(Mid, receive_handle), preliminary_mid, To, Control),
    ok;
connect(Mid, ["tls", Port | Files]) ->
    {ok, _} = application:ensure_all_started(ssl),
    Self = self(),
    spawn(fun() ->
        {ok, Socket} = ssl:connect({127, 0, 0, 1}, list_to_integer(Port), [{server_name_indication, "localhost"} | tls(Files)]),
        Receive = megaco:user_info(Mid, receive_handle),
        {ok, _} = megaco:connect(Receive, preliminary_mid, Socket, self()),
        Self ! connected,
        read(Receive, Socket, <<>>)
    end),
    receive connected -> ok after 5000 -> exit(not_connected) end.

%% The only association there is.
connection(Mid) ->
    [Handle | _] = megaco:user_info(Mid, connections),
    Handle.

read(Receive, Socket, <<3, 0, Length:16, Rest/binary>>) when byte_size(Rest) >= Length - 4 ->
    <<Message:(Length - 4)/binary, More/binary>> = Rest,
    megaco:process_received_message(Receive, self(), Socket, Message),
    read(Receive, Socket, More);
read(Receive, Socket, Pending) ->
    case ssl:recv(Socket, 0) of
        {ok, Octets} -> read(Receive, Socket, <<Pending/binary, Octets/binary>>);
        {error, _} -> say("closed", "")
    end.

send_message(Socket, Octets) ->
    ssl:send(Socket, [<<3, 0, (4 + byte_size(Octets)):16>>, Octets]).

say(What, About) -> io:put_chars([What, " ", About, "\n"]).

%% Runs each line of standard input; the end of it is the end of the peer.
lines(Run) ->
    case io:get_line("") of
        Line when is_list(Line) -> Run(string:lexemes(string:trim(Line), " ")), lines(Run);
        _ -> halt(0)
    end.

%% A message with this body as our own encoder writes it, in hexadecimal.
message(Mid, Version, Body) ->
    {ok, Octets} = megaco_pretty_text_encoder:encode_message([], Version,
        {'MegacoMessage', asn1_NOVALUE, {'Message', Version, Mid, {transactions, [Body]}}}),
    [io_lib:format("~2.16.0b", [Octet]) || <<Octet>> <= Octets].

unhex(Text) -> list_to_binary([list_to_integer([A, B], 16) || <<A, B>> <= list_to_binary(Text)]).
