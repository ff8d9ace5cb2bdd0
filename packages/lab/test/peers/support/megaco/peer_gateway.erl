%% Erlang/OTP megaco as gateway: contexts, terminations and streams of Iq (TS 23.334 8), with media through `peer_media`.
%% It registers, answers Add with addresses of its own, and reads keys out of Local and Remote (RFC 4568).
-module(peer_gateway).
-export([main/1]).
-export([handle_connect/2, handle_disconnect/3, handle_syntax_error/3, handle_message_error/3, handle_trans_request/3,
         handle_trans_long_request/3, handle_trans_reply/4, handle_trans_ack/4, handle_unexpected_trans/3,
         handle_trans_request_abort/4]).

-define(choose, 4294967294).
-define(all, 4294967295).

%% Commands: `register METHOD REASON` (restart, forced, graceful, disconnected), `refuse COMMAND CODE` (the next of its
%% kind: add, modify), `contexts`, `counts`, `leave CONTEXT METHOD` (ServiceChange on all its terminations).
main([Name, Transport | Where]) ->
    Mid = peer_link:start(?MODULE, Transport, Name),
    register(?MODULE, spawn_link(fun() -> hold(#{next => 1, contexts => #{}, refuse => #{}}) end)),
    ok = peer_link:connect(Mid, [Transport | Where]),
    peer_link:say("ready", ""),
    peer_link:lines(fun(Line) -> command(Mid, Line) end).

command(Mid, ["register", Method, Reason]) ->
    spawn(fun() -> change(Mid, 0, [root()], list_to_existing_atom(Method), Reason) end);
command(Mid, ["leave", Context, Method]) ->
    Terminations = [Id || {Id, _} <- ask({terminations, list_to_integer(Context)})],
    spawn(fun() -> [change(Mid, list_to_integer(Context), [Id], list_to_existing_atom(Method), "905") || Id <- Terminations] end);
command(_, ["refuse", Command, Code]) -> ask({refuse, Command, list_to_integer(Code)});
command(_, ["contexts"]) -> peer_link:say("contexts", lists:join(" ", [integer_to_list(Id) || Id <- ask(contexts)]));
command(_, ["forget"]) -> ask(forget).

root() -> {megaco_term_id, false, ["root"]}.

%% 7.2.8: the version goes with Restart; the header says 1 until one is agreed.
change(Mid, Context, Terminations, Method, Reason) ->
    Handle = peer_link:connection(Mid),
    Profile = if Method =:= restart -> {'ServiceChangeProfile', "ETSI_BGF", 2}; true -> asn1_NOVALUE end,
    Version = if Method =:= restart -> 2; true -> asn1_NOVALUE end,
    Delay = if Method =:= graceful -> 0; true -> asn1_NOVALUE end,
    First = {'ServiceChangeParm', Method, asn1_NOVALUE, Version, Profile, [Reason], Delay, asn1_NOVALUE, asn1_NOVALUE, asn1_NOVALUE},
    Parameters = case megaco:conn_info(Handle, protocol_version) of
        1 -> First;
        2 -> erlang:append_element(First, asn1_NOVALUE)
    end,
    Command = {'CommandRequest', {serviceChangeReq, {'ServiceChangeRequest', Terminations, Parameters}}, asn1_NOVALUE, asn1_NOVALUE},
    case megaco:call(Handle, [{'ActionRequest', Context, asn1_NOVALUE, asn1_NOVALUE, [Command]}], []) of
        {_, {ok, [{'ActionReply', _, asn1_NOVALUE, _, [{serviceChangeReply, {_, _, Result}}]}]}} ->
            [megaco:update_conn_info(Each, protocol_version, 2) || Each <- megaco:user_info(Mid, connections), Method =:= restart],
            peer_link:say(atom_to_list(Method) ++ " accepted", io_lib:format("~0p", [Result]));
        Other -> peer_link:say(atom_to_list(Method) ++ " failed", io_lib:format("~0p", [Other]))
    end.

handle_trans_request(_, _, Actions) -> {discard_ack, ask({run, Actions})}.

ask(What) ->
    Reference = make_ref(),
    ?MODULE ! {Reference, self(), What},
    receive {Reference, Answer} -> Answer after 5000 -> exit(no_answer) end.

hold(State) ->
    receive
        {Reference, Who, What} ->
            {Answer, Next} = answer(What, State),
            Who ! {Reference, Answer},
            hold(Next)
    end.

answer({run, Actions}, State) -> lists:mapfoldl(fun action/2, State, Actions);
answer({refuse, Command, Code}, #{refuse := Refuse} = State) -> {ok, State#{refuse := Refuse#{Command => Code}}};
answer(contexts, #{contexts := Contexts} = State) -> {maps:keys(Contexts), State};
answer({terminations, Context}, #{contexts := Contexts} = State) -> {maps:get(Context, Contexts, []), State};
answer(forget, #{contexts := Contexts} = State) ->
    [release(Termination) || Terminations <- maps:values(Contexts), {_, Termination} <- Terminations],
    {ok, State#{contexts := #{}}}.

%% H.248.1 8.3: a command that fails ends the action; an Add that fails in a new context leaves none.
action({'ActionRequest', ?choose, _, _, Commands}, #{next := Next, contexts := Contexts} = State) ->
    {Replies, Error, After} = commands(Commands, Next, State#{next := Next + 1, contexts := Contexts#{Next => []}}),
    #{contexts := Made} = After,
    case Error of
        none -> {{'ActionReply', Next, asn1_NOVALUE, asn1_NOVALUE, Replies}, After};
        _ ->
            [release(Termination) || {_, Termination} <- maps:get(Next, Made)],
            {{'ActionReply', ?choose, Error, asn1_NOVALUE, []}, After#{contexts := maps:remove(Next, Made)}}
    end;
action({'ActionRequest', ?all, _, _, [_]}, #{contexts := Contexts} = State) ->
    %% Which contexts there are: an audit of all.
    {{'ActionReply', ?all, asn1_NOVALUE, asn1_NOVALUE, [{auditValueReply, {contextAuditResult, lists:append(
        [[Id || {Id, _} <- Terminations] || Terminations <- maps:values(Contexts)])}}]}, State};
action({'ActionRequest', Context, _, _, Commands}, #{contexts := Contexts} = State) ->
    case Context =:= 0 orelse maps:is_key(Context, Contexts) of
        true ->
            {Replies, Error, Next} = commands(Commands, Context, State),
            {{'ActionReply', Context, if Error =:= none -> asn1_NOVALUE; true -> Error end, asn1_NOVALUE, Replies}, Next};
        false -> {{'ActionReply', Context, {'ErrorDescriptor', 411, "unknown context"}, asn1_NOVALUE, []}, State}
    end.

commands(Commands, Context, State) ->
    {Replies, Error, Next} = lists:foldl(fun
        ({_, Command, _, _}, {Done, none, Before}) ->
            case run(Command, Context, Before) of
                {error, Code, After} -> {Done, {'ErrorDescriptor', Code, "refused"}, After};
                {Made, After} -> {lists:reverse(Made, Done), none, After}
            end;
        (_, Stopped) -> Stopped
    end, {[], none, State}, Commands),
    {lists:reverse(Replies), Error, Next}.

refused(Command, #{refuse := Refuse} = State) ->
    case maps:take(Command, Refuse) of
        {Code, Left} -> {error, Code, State#{refuse := Left}};
        error -> none
    end.

run({addReq, {_, [{megaco_term_id, _, Path}], Descriptors}}, Context, State) ->
    case refused("add", State) of
        none ->
            #{next := Next, contexts := Contexts} = State,
            Id = {megaco_term_id, false, lists:droplast(Path) ++ [integer_to_list(Next)]},
            {Streams, Answers} = streams(Descriptors, #{}),
            [join(Stream, Media, Others) || {Stream, #{pid := Media}} <- maps:to_list(Streams), {_, Others} <- maps:get(Context, Contexts)],
            Held = maps:get(Context, Contexts) ++ [{Id, Streams}],
            {[{addReply, {'AmmsReply', [Id], media(Answers)}}], State#{next := Next + 1, contexts := Contexts#{Context := Held}}};
        Refusal -> Refusal
    end;
run({modReq, {_, [Id], Descriptors}}, Context, State) ->
    #{contexts := Contexts} = State,
    case {refused("modify", State), lists:keyfind(Id, 1, maps:get(Context, Contexts, []))} of
        {none, {Id, Before}} ->
            {Streams, Answers} = streams(Descriptors, Before),
            Terminations = maps:get(Context, Contexts),
            [join(Stream, Media, Others) || {Stream, #{pid := Media}} <- maps:to_list(maps:without(maps:keys(Before), Streams)),
                {Other, Others} <- Terminations, Other =/= Id],
            {[{modReply, {'AmmsReply', [Id], media(Answers)}}],
             State#{contexts := Contexts#{Context := lists:keyreplace(Id, 1, Terminations, {Id, Streams})}}};
        {none, false} -> {error, 430, State};
        {Refusal, _} -> Refusal
    end;
run({subtractReq, {_, [{megaco_term_id, true, ["*"]}], _}}, Context, #{contexts := Contexts} = State) ->
    {[{subtractReply, {'AmmsReply', [Id], [{statisticsDescriptor, release(Streams)}]}} || {Id, Streams} <- maps:get(Context, Contexts)],
     State#{contexts := maps:remove(Context, Contexts)}};
run({auditValueRequest, {_, Id, _}}, _, State) ->
    {[{auditValueReply, {auditResult, {'AuditResult', Id, []}}}], State};
run(_, _, State) -> {error, 501, State}.

join(Stream, Media, Others) ->
    case Others of
        #{Stream := #{pid := Other}} -> peer_media:join(Media, Other);
        _ -> ok
    end.

release(Streams) ->
    Counts = [peer_media:counts(Pid) || #{pid := Pid} <- maps:values(Streams)],
    [peer_media:close(Pid) || #{pid := Pid} <- maps:values(Streams)],
    [{'StatisticsParameter', "rtp/pr", [integer_to_list(lists:sum([In || {In, _, _} <- Counts]))]},
     {'StatisticsParameter', "rtp/ps", [integer_to_list(lists:sum([Out || {_, Out, _} <- Counts]))]}].

media([]) -> asn1_NOVALUE;
media(Answers) -> [{mediaDescriptor, {'MediaDescriptor', asn1_NOVALUE, {multiStream, Answers}}}].

streams(Descriptors, Before) ->
    Wanted = [Stream || {mediaDescriptor, {_, _, {multiStream, Streams}}} <- Descriptors, Stream <- Streams],
    lists:foldl(fun stream/2, {Before, []}, Wanted).

%% Only what was chosen comes back: TS 29.334 5.8.
stream({'StreamDescriptor', Id, {'StreamParms', Control, Local, Remote}}, {Streams, Answers}) ->
    {#{pid := Pid, port := Port} = Stream, New} = case Streams of
        #{Id := Held} -> {Held, false};
        _ -> {Started, Chosen} = peer_media:start(), {#{pid => Started, port => Chosen}, true}
    end,
    peer_media:change(Pid, maps:merge(maps:merge(mode(Control), local(Local)), remote(Remote))),
    Next = Streams#{Id => Stream},
    case New andalso Local of
        {_, [Group]} ->
            Said = [choose(Property, Port) || Property <- Group],
            {Next, Answers ++ [{'StreamDescriptor', Id, {'StreamParms', asn1_NOVALUE, {'LocalRemoteDescriptor', [Said]}, asn1_NOVALUE}}]};
        _ -> {Next, Answers}
    end.

choose({P, "c", ["IN IP4 $"], N}, _) -> {P, "c", ["IN IP4 127.0.0.1"], N};
choose({P, "m", [Line], N}, Port) ->
    {P, "m", [lists:flatten(string:replace(Line, " $ ", [" ", integer_to_list(Port), " "]))], N};
choose(Property, _) -> Property.

mode({'LocalControlDescriptor', Mode, _, _, _}) when Mode =/= asn1_NOVALUE -> #{mode => Mode};
mode(_) -> #{}.

local({_, [Group]}) -> maps:merge(#{local => key(Group)}, secure(Group));
local(_) -> #{}.

remote({_, [Group]}) ->
    case {value("c", Group), value("m", Group)} of
        {"IN IP4 " ++ Address, Line} ->
            [_, Port | _] = string:lexemes(Line, " "),
            To = case {inet:parse_address(Address), string:to_integer(Port)} of
                {{ok, Parsed}, {Number, _}} when is_integer(Number), Number > 0 -> #{to => {Parsed, Number}};
                _ -> #{}
            end,
            maps:merge(To#{remote => key(Group)}, secure(Group));
        _ -> #{remote => key(Group)}
    end;
remote(_) -> #{}.

secure(Group) -> #{secure => string:find(value("m", Group), "RTP/SAVP") =/= nomatch}.

value(Name, Group) ->
    case [Value || {_, Each, [Value], _} <- Group, Each =:= Name] of
        [Value | _] -> Value;
        [] -> ""
    end.

key(Group) ->
    Keys = [Value || {_, "a", ["crypto:" ++ Value], _} <- Group],
    case Keys of
        [Value] ->
            [_, "AES_CM_128_HMAC_SHA1_80", "inline:" ++ Inline | _] = string:lexemes(Value, " "),
            base64:decode(hd(string:lexemes(Inline, "|")));
        [] -> none
    end.

handle_connect(_, _) -> ok.
handle_disconnect(_, _, Reason) -> peer_link:say("disconnected", io_lib:format("~0p", [Reason])), ok.
handle_syntax_error(_, _, Error) -> peer_link:say("syntax-error", io_lib:format("~0p", [Error])), reply.
handle_message_error(_, _, Error) -> peer_link:say("message-error", io_lib:format("~0p", [Error])), no_reply.
handle_trans_long_request(_, _, _) -> {discard_ack, []}.
handle_trans_reply(_, _, _, _) -> ok.
handle_trans_ack(_, _, _, _) -> ok.
handle_unexpected_trans(_, _, Transaction) -> peer_link:say("unexpected", io_lib:format("~0p", [Transaction])), ok.
handle_trans_request_abort(_, _, _, _) -> ok.
