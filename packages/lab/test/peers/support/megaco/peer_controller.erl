%% Erlang/OTP megaco as controller. It accepts every registration, sends the actions the test gives it as text, and tells
%% what came, all read and written by its own codec and carried by its own messenger.
-module(peer_controller).
-export([main/1]).
-export([handle_connect/2, handle_disconnect/3, handle_syntax_error/3, handle_message_error/3, handle_trans_request/3,
         handle_trans_long_request/3, handle_trans_reply/4, handle_trans_ack/4, handle_unexpected_trans/3,
         handle_trans_request_abort/4]).

%% Commands: `request NUMBER MESSAGE` with a message in hexadecimal, whose actions are sent.
main([Name, Transport | Where]) ->
    Mid = peer_link:start(?MODULE, Transport, Name),
    ok = peer_link:listen(Mid, [Transport | Where]),
    peer_link:say("ready", ""),
    peer_link:lines(fun(["request", Number, Message]) -> spawn(fun() -> request(Mid, Number, peer_link:unhex(Message)) end) end).

request(Mid, Number, Octets) ->
    {ok, {_, _, {_, _, _, {transactions, [{transactionRequest, {_, _, Actions}}]}}}} =
        megaco_pretty_text_encoder:decode_message([], dynamic, Octets),
    case megaco:call(peer_link:connection(Mid), Actions, []) of
        {Version, {ok, Replies}} ->
            Body = {transactionReply, {'TransactionReply', 1, asn1_NOVALUE, {actionReplies, Replies}}},
            peer_link:say("reply " ++ Number, peer_link:message(Mid, Version, Body));
        {Version, {error, {'ErrorDescriptor', Code, Text}}} ->
            Body = {transactionReply, {'TransactionReply', 1, asn1_NOVALUE, {transactionError, {'ErrorDescriptor', Code, Text}}}},
            peer_link:say("reply " ++ Number, peer_link:message(Mid, Version, Body));
        Other ->
            peer_link:say("failed " ++ Number, io_lib:format("~0p", [Other]))
    end.

handle_trans_request(Handle, Version, Actions) ->
    Mid = element(2, Handle),
    Body = {transactionRequest, {'TransactionRequest', 1, Actions}},
    peer_link:say("asked", peer_link:message(Mid, Version, Body)),
    {discard_ack, [answer(Handle, Action) || Action <- Actions]}.

answer(Handle, {'ActionRequest', Context, _, _, Commands}) ->
    {'ActionReply', Context, asn1_NOVALUE, asn1_NOVALUE, [answer_command(Handle, Command) || {_, Command, _, _} <- Commands]}.

answer_command(Handle, {serviceChangeReq, {_, Terminations, Parameters}}) ->
    Version = element(4, Parameters),
    %% The version agreed is spoken from the next message on.
    Agreed = if is_integer(Version) -> min(Version, 2); true -> 1 end,
    spawn(fun() -> timer:sleep(5), megaco:update_conn_info(Handle, protocol_version, Agreed) end),
    {serviceChangeReply, {'ServiceChangeReply', Terminations, {serviceChangeResParms,
        {'ServiceChangeResParm', asn1_NOVALUE, asn1_NOVALUE, Agreed, element(5, Parameters), asn1_NOVALUE}}}};
answer_command(_, {notifyReq, {_, Terminations, _, _}}) ->
    {notifyReply, {'NotifyReply', Terminations, asn1_NOVALUE}}.

handle_connect(_, _) -> ok.
handle_disconnect(_, _, Reason) -> peer_link:say("disconnected", io_lib:format("~0p", [Reason])), ok.
handle_syntax_error(_, _, Error) -> peer_link:say("syntax-error", io_lib:format("~0p", [Error])), reply.
handle_message_error(_, _, Error) -> peer_link:say("message-error", io_lib:format("~0p", [Error])), no_reply.
handle_trans_long_request(_, _, _) -> {discard_ack, []}.
handle_trans_reply(_, _, _, _) -> ok.
handle_trans_ack(_, _, _, _) -> ok.
handle_unexpected_trans(_, _, Transaction) -> peer_link:say("unexpected", io_lib:format("~0p", [Transaction])), ok.
handle_trans_request_abort(_, _, _, _) -> ok.
