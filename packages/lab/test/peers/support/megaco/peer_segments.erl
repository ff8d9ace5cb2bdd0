%% Erlang/OTP megaco with version 3 and replies in segments (H.248.1 E.14). As controller it takes a gateway and sends what
%% the test gives it as text; as gateway it registers, and answers an audit of all contexts with as many as it was told.
%% Cutting, numbering, acknowledging and gathering are megaco's own.
-module(peer_segments).
-export([main/1]).
-export([handle_connect/2, handle_disconnect/3, handle_syntax_error/3, handle_message_error/3, handle_trans_request/3,
         handle_trans_long_request/3, handle_trans_reply/4, handle_trans_ack/4, handle_unexpected_trans/3,
         handle_trans_request_abort/4, handle_segment_reply/5]).

%% Role, octets it cuts a reply at, contexts it tells of, name, transport, where. Commands: `request NUMBER MESSAGE`, a
%% message in hexadecimal whose actions are sent; `register`.
main([Role, Most, Contexts, Name, Transport | Where]) ->
    persistent_term:put(contexts, list_to_integer(Contexts)),
    peer_link:one_by_one(),
    Mid = peer_link:start(?MODULE, Transport, Name),
    [ok = megaco:update_user_info(Mid, Item, Value) || {Item, Value} <- [
        {segment_reply_ind, true}, {segment_send, 3}, {segment_recv_timer, 5000}, {max_pdu_size, list_to_integer(Most)}]],
    ok = case Role of
        "controller" -> peer_link:listen(Mid, [Transport | Where]);
        "gateway" -> peer_link:connect(Mid, [Transport | Where])
    end,
    peer_link:say("ready", ""),
    peer_link:lines(fun
        (["request", Number, Message]) -> request(Mid, Number, peer_link:unhex(Message));
        (["register"]) -> spawn(fun() -> register_with(Mid) end)
    end).

request(Mid, Number, Octets) ->
    {ok, {_, _, {_, _, _, {transactions, [{transactionRequest, {_, _, Actions}}]}}}} =
        megaco_pretty_text_encoder:decode_message([], dynamic, Octets),
    ok = megaco:cast(peer_link:connection(Mid), Actions, [{reply_data, Number}]).

%% A whole reply, or a segment: its number, whether all have come with it, and what is in it.
handle_trans_reply(_, Version, {ok, {Segment, Last, Replies}}, Number) -> tell(Number, Version, Segment, Last, Replies);
handle_trans_reply(_, Version, {ok, Replies}, Number) -> tell(Number, Version, 0, true, Replies);
handle_trans_reply(_, _, Other, Number) -> peer_link:say("failed " ++ Number, io_lib:format("~0p", [Other])).

tell(Number, Version, Segment, Last, Replies) ->
    Contexts = [integer_to_list(Context) || {'ActionReply', Context, _, _, _} <- Replies],
    Commands = [length(Each) || {'ActionReply', _, _, _, Each} <- Replies],
    peer_link:say("part " ++ Number, io_lib:format("~b ~b ~p ~b ~s", [Version, Segment, Last, lists:sum(Commands), lists:join(",", Contexts)])),
    ok.

register_with(Mid) ->
    Handle = peer_link:connection(Mid),
    Parameters = {'ServiceChangeParm', restart, asn1_NOVALUE, 3, {'ServiceChangeProfile', "ETSI_BGF", 2}, ["901"],
        asn1_NOVALUE, asn1_NOVALUE, asn1_NOVALUE, asn1_NOVALUE},
    Command = {'CommandRequest', {serviceChangeReq, {'ServiceChangeRequest', [root()], Parameters}}, asn1_NOVALUE, asn1_NOVALUE},
    Answer = megaco:call(Handle, [{'ActionRequest', 0, asn1_NOVALUE, asn1_NOVALUE, [Command]}], []),
    [megaco:update_conn_info(Each, protocol_version, 3) || Each <- megaco:user_info(Mid, connections)],
    peer_link:say("registered", io_lib:format("~0p", [Answer])).

root() -> {megaco_term_id, false, ["root"]}.

handle_trans_request(Handle, _, Actions) ->
    {discard_ack, lists:append([answer(Handle, Action) || Action <- Actions])}.

%% The ALL context: one action a context.
answer(_, {'ActionRequest', 4294967295, _, _, _}) ->
    [{'ActionReply', Id, asn1_NOVALUE, asn1_NOVALUE, [{auditValueReply, {auditResult, {'AuditResult', root(), []}}}]}
        || Id <- lists:seq(1, persistent_term:get(contexts))];
answer(Handle, {'ActionRequest', Context, _, _, Commands}) ->
    [{'ActionReply', Context, asn1_NOVALUE, asn1_NOVALUE, [answer_command(Handle, Command) || {_, Command, _, _} <- Commands]}].

answer_command(Handle, {serviceChangeReq, {_, Terminations, Parameters}}) ->
    %% The version agreed is spoken from the next message on.
    spawn(fun() -> timer:sleep(5), megaco:update_conn_info(Handle, protocol_version, 3) end),
    {serviceChangeReply, {'ServiceChangeReply', Terminations, {serviceChangeResParms,
        {'ServiceChangeResParm', asn1_NOVALUE, asn1_NOVALUE, 3, element(5, Parameters), asn1_NOVALUE}}}};
answer_command(_, {notifyReq, {_, Terminations, _, _}}) -> {notifyReply, {'NotifyReply', Terminations, asn1_NOVALUE}};
answer_command(_, {auditValueRequest, {_, Id, _}}) -> {auditValueReply, {auditResult, {'AuditResult', Id, []}}};
answer_command(_, {subtractReq, {_, Ids, _}}) -> {subtractReply, {'AmmsReply', Ids, asn1_NOVALUE}}.

%% An acknowledgement of one segment.
handle_segment_reply(_, _, _, Segment, Complete) ->
    peer_link:say("acknowledged", io_lib:format("~b ~0p", [Segment, Complete])), ok.

handle_connect(_, _) -> ok.
handle_disconnect(_, _, Reason) -> peer_link:say("disconnected", io_lib:format("~0p", [Reason])), ok.
handle_syntax_error(_, _, Error) -> peer_link:say("syntax-error", io_lib:format("~0p", [Error])), reply.
handle_message_error(_, _, Error) -> peer_link:say("message-error", io_lib:format("~0p", [Error])), no_reply.
handle_trans_long_request(_, _, _) -> {discard_ack, []}.
handle_trans_ack(_, _, _, _) -> ok.
handle_unexpected_trans(_, _, Transaction) -> peer_link:say("unexpected", io_lib:format("~0p", [Transaction])), ok.
handle_trans_request_abort(_, _, _, _) -> ok.
