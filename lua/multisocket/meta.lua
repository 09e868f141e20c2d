---@meta multisocket
-- SPDX-License-Identifier: MIT
--
-- Types of everything public, for editors (LuaCATS). Never loaded by programs.
-- luacheck: ignore

---@alias multisocket.ErrorCategory
---| "usage" # misuse; the only category that is raised and not returned
---| "resolve" | "connect" | "proxy" | "tls" | "timeout" | "protocol" | "redirect"
---| "body" | "cancelled" | "http" | "callback" | "memory" | "internal"

---What went wrong. Prints as one readable line.
---@class multisocket.Error
---@field category multisocket.ErrorCategory
---@field code string stable name, e.g. "connection_refused", "timed_out", "cancelled"
---@field message string one readable line that names the host
---@field phase? "queue"|"resolve"|"connect"|"tls"|"send"|"headers"|"body" where it happened
---@field url? string the URL at fault
---@field errno? integer of the operating system
---@field retryable? boolean nothing of the request reached the server
---@field attempts? integer how often it was tried (behind redirects, the last request)
---@field cause? any what a callback raised, a nested error, or OpenSSL's words
---@field response? multisocket.Response with `fail`: the response with status >= 400
---@field errors? any[] of code "all_failed": the error of each function

---Header fields, looked up without regard to case: `headers["content-type"]` is
---the first value. `pairs` gives name and value in the order on the wire.
---@class multisocket.Headers
---@field [string] string?
local Headers = {}

---@param name string
---@return string[] values in the order on the wire
function Headers:get_all(name) end

---@return fun(): string?, string? iterator names and values in the order on the wire
function Headers:each() end

---Milliseconds from the call to that point.
---@class multisocket.Timings
---@field queue number a connection was had or begun
---@field resolve number the addresses were known
---@field connect number connected
---@field tls number the peer is verified; 0 without TLS
---@field send number the request had left
---@field first_byte number the first byte of the response came
---@field total number the end
---@field redirect number the last redirect was followed

---@class multisocket.Certificate
---@field subject string RFC 2253, "CN=localhost"
---@field issuer string
---@field names string[] the names and addresses it is for
---@field not_before string "2026-11-21T10:00:00Z"
---@field not_after string
---@field serial string hexadecimal
---@field fingerprint string SHA-256, hexadecimal
---@field public_key_pin string as tls.pinned_public_key takes it
---@field pem string

---@class multisocket.TlsInfo
---@field version string "TLSv1.3"
---@field cipher string
---@field alpn string? nil: none was agreed on
---@field verified boolean the chain and, unless switched off, the name
---@field resumed boolean
---@field peer_certificate multisocket.Certificate?

---@class multisocket.Response
---@field status integer
---@field ok boolean status is 200 to 299
---@field reason string
---@field version "1.0"|"1.1"
---@field url string
---@field headers multisocket.Headers
---@field body string? nil with on_data, stream or sink
---@field trailers multisocket.Headers
---@field timings multisocket.Timings
---@field reused boolean the connection had served a request before
---@field attempts integer how often the request (the last one, behind redirects) was tried
---@field decoded string[] content codings that were undone, in the order they were done
---@field cookies table<integer|string, multisocket.Cookie|string> those it sets, in order; by name the value
---@field redirects { status: integer, url: string, location: string }[] that were followed
---@field remote_address string "127.0.0.1:80" or "[::1]:80"
---@field request { method: string, url: string, headers: multisocket.Headers }
---@field tls multisocket.TlsInfo? nil in the clear
local Response = {}

---What the body is, in lower case and without parameters, and the charset that
---the server names.
---@return string? type
---@return string? charset
function Response:content_type() end

---When the response was made, by the server's clock.
---@return integer? seconds since 1970
function Response:date() end

---The body as UTF-8: from the charset that a byte order mark or else the server
---tells, UTF-8 when none does. What means nothing in it becomes U+FFFD.
---@return string? text
---@return multisocket.Error? err
function Response:text() end

---The body as JSON, by lua-cjson or else dkjson, or by a decoder of yours.
---@param decoder? fun(text: string): any
---@return any value
---@return multisocket.Error? err
function Response:json(decoder) end

---Raises an err of code "status" when the status is 400 or more.
---@return multisocket.Response self
function Response:raise_for_status() end

---@class multisocket.Event
---@field event string its type, "message" where none was sent
---@field data string
---@field id string the id last sent, of this event or one before; "" for none
---@field retry integer? ms to wait before connecting again, when that was sent since the last event

---An iterator over the server-sent events of the body, as they come. It raises
---the err of a body that ends early; leaving the loop ends the transfer.
---@return fun(): multisocket.Event?
function Response:events() end

---What is there of the body, at least a byte; waits for it. With a number not
---more than that, with "a" everything. Nil at the end.
---@param how? integer|"a"
---@return string?
---@return multisocket.Error? err it ended early
function Response:read(how) end

---An iterator over the body as it comes. It raises the err of a body that ends
---early; leaving the loop ends the transfer.
---@return fun(): string?
function Response:chunks() end

---The same in lines, without their ends ("\n" or "\r\n"). One of more than
---`most` bytes is an err of code "body_too_large", which is raised.
---@param most? integer default 16 MiB
---@return fun(): string?
function Response:lines(most) end

---Writes the body to a file, which is there when all of it is.
---@param path string
---@return boolean?
---@return multisocket.Error? err
function Response:save(path) end

---Reads the rest of the body and forgets it.
---@return boolean?
---@return multisocket.Error? err
function Response:discard() end

---Ends the transfer; what was not read yet is gone.
---@param reason? any
function Response:cancel(reason) end

---What on_headers gets.
---@class multisocket.Head
---@field status integer
---@field reason string
---@field version string
---@field headers multisocket.Headers
---@field informational boolean a 1xx response; the real one follows

---A value, or several for the same name.
---@alias multisocket.FieldValue string|number|(string|number)[]

---A map, or a list of { name, value } where order matters.
---@alias multisocket.Fields table<string, multisocket.FieldValue>|[string, multisocket.FieldValue][]
---@alias multisocket.HeaderFields table<string, multisocket.FieldValue|false>|[string, multisocket.FieldValue|false][]

---Milliseconds; false: no limit.
---@class multisocket.Timeouts
---@field total? integer|false from the call to the end, waiting for a connection included
---@field connect? integer|false from the lookup to the connection, default 30000
---@field first_byte? integer|false from the request's last byte to the response's first
---@field idle? integer|false without a byte either way; stands still while paused

---Who one is. With `digest` the server has to ask; otherwise Basic.
---@class multisocket.Auth
---@field [1]? string the user, or `user`
---@field [2]? string the password, or `password`
---@field user? string
---@field password? string
---@field digest? boolean

---@class multisocket.TlsOptions
---@field verify? boolean the peer's certificate has to be good; default true
---@field verify_host? boolean and for the host; default true
---@field ca_file? string PEM: whom to trust; default the system's
---@field ca_path? string folder of them, hashed names
---@field crl_file? string PEM: revocation lists of every issuer
---@field cert? string PEM: the client's certificate and chain
---@field key? string PEM; default in the same file
---@field key_password? string
---@field min_version? "1.0"|"1.1"|"1.2"|"1.3" default "1.2"
---@field max_version? "1.0"|"1.1"|"1.2"|"1.3"
---@field ciphers? string as OpenSSL names them
---@field alpn? string|string[] default by `version`
---@field pinned_public_key? string|string[] "sha256//BASE64"
---@field session_reuse? boolean resume earlier sessions; default true
---@field server_name? string instead of the URL's host
---@field staple? "require" no connection without a good OCSP answer

---Body bytes as they are on the wire; a total that is not known is nil.
---@class multisocket.Progress
---@field down integer
---@field down_total integer?
---@field up integer
---@field up_total integer?

---Options of one request. A client's are its defaults; `false` switches a
---default off.
---@class multisocket.Options
---@field method? string|false default GET, or POST with a body
---@field headers? false|multisocket.HeaderFields false removes a default one
---@field query? multisocket.Fields|false is put behind the URL's own query
---@field body? string|false|file*|{ path: string }|fun(): string?, any bytes, or what gives them
---@field json? any is encoded; Content-Type: application/json
---@field form? multisocket.Fields Content-Type: application/x-www-form-urlencoded
---@field multipart? multisocket.Part[]|false Content-Type: multipart/form-data
---@field timeout? number|multisocket.Timeouts|false ms; a number is `total`
---@field tls? multisocket.TlsOptions
---@field fail? boolean a status of 400 or more is nil, err
---@field version? "auto"|"1.1"|"2"|"2-prior-knowledge"|false of HTTP; default "auto"
---@field cookies? boolean|multisocket.Jar a jar; true: the client's, or one for this call's redirects
---@field priority? string|false the Priority header (RFC 9218), such as "u=1, i"
---@field auth? multisocket.Auth|false { user, password [, digest = true] }
---@field bearer? string|false a token
---@field netrc? string|boolean path of a netrc file; true: $NETRC, or .netrc in $HOME
---@field expect_continue? boolean send the body when the server asks for it, or after a second
---@field stream? boolean return when the head is there; read the body with the response
---@field sink? string|file*|fun(chunk: string)|{ path: string, resume: boolean? } where the body goes
---@field low_speed? { limit: integer, time: integer? }|false bytes per second, for ms
---@field max_send_speed? integer|false bytes of the request's body per second, at most
---@field max_recv_speed? integer|false bytes of the response's body per second, at most
---@field max_body? integer|false bytes of body, decoded; default 1 GiB, none with on_data
---@field range? integer[]|string|false { from, to }, { from } or { -last }, counted from 0: that part of the body
---@field resume_from? integer|false bytes that are there already: the rest of the body
---@field decompress? boolean send Accept-Encoding and undo content codings; default true
---@field redirect? integer|false how many are followed at most, default 10; 0: the 3xx is the response
---@field redirect_post? boolean a POST stays one after 301 and 302
---@field allow_downgrade? boolean a redirect from https to http is followed
---@field unrestricted_auth? boolean credentials go along to other origins
---@field retry? integer|multisocket.Retry|false when a request that failed in passing is made again; a number is `max`
---@field max_header_size? integer bytes of a response head, default 256 KiB
---@field fresh_connection? boolean no pooled connection
---@field tcp_nodelay? boolean default true
---@field tcp_keepalive? boolean the system looks after silent peers; default true
---@field ip? 4|6|false addresses of that family only
---@field interface? string|false name of an interface, or an address of this machine, to connect from
---@field local_port? integer|integer[]|false a port, or the first and the last of a range, to connect from
---@field unix_socket? string|false a path, or "@" and an abstract name, to connect to whatever the URL says
---@field happy_eyeballs_delay? integer|false ms after which an address that does not answer gets company; default 250
---@field resolve? table<string, string|multisocket.Addresses>|false "host" or "host:port" to its addresses
---@field connect_to? table<string, string>|false "host" or "host:port" to the "host:port" to connect to instead
---@field dns? multisocket.Dns|false
---@field resolver? "system"|fun(host: string, family: 4|6, done: fun(addresses: string[]?): boolean)|false asked instead of hosts file and DNS; "system": getaddrinfo()
---@field allow_address? "public"|"any"|(fun(address: string, port: integer): boolean)|false asked before every connection; must not wait
---@field on_headers? fun(head: multisocket.Head) every response head; must not wait
---@field on_debug? fun(kind: "info"|"request"|"response", text: string)|false heads as they went, without credentials
---@field on_progress? fun(now: multisocket.Progress): boolean? false cancels; about once a second and when all is there
---@field on_data? fun(chunk: string) the body in pieces, which is then not collected; must not wait

---One field of a multipart form; one of value, path and data.
---@class multisocket.Part
---@field name string
---@field value? string|number
---@field path? string a file, read while it is sent
---@field data? string|file*|fun(): string?, any a file's content
---@field filename? string default: that of `path`, "blob" with `data`
---@field content_type? string default by the ending of the file's name
---@field headers? table<string, string> more of the part's own

---@class multisocket.Addresses: string[]
---@field ttl? integer seconds from the first use, then DNS is asked; nil: for ever

---@class multisocket.Retry
---@field max? integer how often; default 0
---@field status? (integer|string)[]|string|false default 408 429 502 503 504
---@field methods? string[]|string|false of requests that may be made twice; default the idempotent ones
---@field max_delay? integer|false ms before a retry at most; default 30000
---@field budget? integer|false retries of all transfers of a client in ten seconds; default 100

---@class multisocket.Dns
---@field servers? string|string[] "address" or "address:port"; default those of resolv.conf
---@field timeout? integer ms for the first try, default 2000
---@field tries? integer for each server, default 3
---@field cache_ttl? integer|false ms for which an answer is kept at most, default an hour

---@class multisocket.FetchOptions : multisocket.Options
---@field url? string

---Limits for one scheme, host and port.
---@class multisocket.PerHost
---@field concurrency? integer|false transfers that go on at a time
---@field rate? integer|false transfers that begin in a second

---@class multisocket.ClientOptions : multisocket.Options
---@field base_url? string relative URLs are resolved against it; credentials are for its origin
---@field user_agent? string|false default "multisocket/VERSION"
---@field max_connections? integer|false open or opening at a time; default no limit
---@field max_connections_per_host? integer|false the same of one scheme, host and port
---@field max_idle? integer|false idle connections kept, default 1000
---@field idle_timeout? integer ms one is kept, default 60000
---@field max_age? integer|false ms after which one is not used again; default no limit
---@field per_host? multisocket.PerHost|false
---@field max_concurrent_streams? integer|false on one HTTP/2 connection, default 100
---@field ping_interval? integer|false ms of silence until an HTTP/2 peer is asked whether it lives

---A request under way.
---@class multisocket.Handle
local Handle = {}

---Ends it: its callback gets an err of code "cancelled". False when it is over.
---@param reason? any
---@return boolean
function Handle:cancel(reason) end

---Cancels it unless it is over, and calls `callback` later, from the loop.
---@param callback? fun()
function Handle:close(callback) end

---@return boolean over done or cancelled
function Handle:is_closing() end

---@class multisocket.Task
---@field status "running"|"done"|"failed"|"cancelled"
local Task = {}

---Waits for the end. true and what the function returned, or false and the
---error; false and an err of code "timed_out" when it goes on.
---@param timeout? number ms
---@return boolean ok
---@return any ...
function Task:wait(timeout) end

---Ends the task where it waits. False when it has ended.
---@param reason? any
---@return boolean
function Task:cancel(reason) end

---@class multisocket.Stats
---@field added integer transfers ever
---@field done integer
---@field removed integer
---@field opened integer connections ever
---@field reused integer requests on a connection used before
---@field closed integer
---@field socket_calls integer
---@field timer_calls integer
---@field actions integer
---@field bytes_in integer
---@field bytes_out integer
---@field lookups integer
---@field running integer transfers now
---@field queued integer without a connection
---@field waiting integer of these: for a limit on connections or streams
---@field connections integer open ones now
---@field idle integer those that nobody uses
---@field connecting integer
---@field closing integer ended, saying goodbye

---@class multisocket.Cookie
---@field name string
---@field value string
---@field domain? string
---@field path? string
---@field expires? integer unix seconds; none: as long as the jar
---@field created? integer when it came into the jar
---@field secure boolean
---@field http_only boolean
---@field host_only boolean not for subdomains
---@field same_site? "none"|"lax"|"strict"

---Keeps cookies by the rules of RFC 6265bis.
---@class multisocket.Jar
local Jar = {}

---Takes a Set-Cookie line as from a response of `url`.
---@param url string
---@param line string
---@return boolean?
---@return multisocket.Error? err "bad_cookie" says why not
function Jar:set(url, line) end

---What a request to `url` carries, in that order.
---@param url string
---@return multisocket.Cookie[]?
---@return multisocket.Error?
function Jar:get(url) end

---All cookies as they are now, oldest first.
---@return fun(): multisocket.Cookie?
function Jar:each() end

function Jar:clear() end

---Writes them as cookies.txt, in place of what is there; waits for the disk.
---@param path string
---@return boolean?
---@return multisocket.Error? err "file_error", with errno
function Jar:save(path) end

---Adds those of a file in that format, of a malformed one none.
---@param path string
---@return boolean?
---@return multisocket.Error? err "file_error", or "bad_cookie" with the line
function Jar:load(path) end

---Defaults and a pool of connections of its own. Close it when it is no longer
---needed; `local c <close> = ms.client{}` does.
---@class multisocket.Client
---@field cookies multisocket.Jar? where its cookies are kept
local Client = {}

---@param url string|multisocket.FetchOptions
---@param opts? multisocket.Options
---@return multisocket.Response? res
---@return multisocket.Error? err
function Client:fetch(url, opts) end

---@param url string|multisocket.FetchOptions
---@param opts multisocket.Options
---@param callback fun(err: multisocket.Error?, res: multisocket.Response?)
---@return multisocket.Handle
---@overload fun(self, url: string|multisocket.FetchOptions, callback: fun(err: multisocket.Error?, res: multisocket.Response?)): multisocket.Handle
function Client:request(url, opts, callback) end

---@param url string|multisocket.FetchOptions
---@param opts? multisocket.Options
---@return multisocket.Response? res
---@return multisocket.Error? err
function Client:get(url, opts) end
Client.head = Client.get
Client.post = Client.get
Client.put = Client.get
Client.patch = Client.get
Client.delete = Client.get
Client.options = Client.get

---ms.each through this client.
---@param requests (string|multisocket.FetchOptions)[]|fun(): string|multisocket.FetchOptions|nil
---@param opts? { concurrency: integer? }
---@return fun(): integer?, multisocket.Response?, multisocket.Error?
function Client:each(requests, opts) end

---@return multisocket.Stats
function Client:stats() end
---Forgets addresses, answers of DNS, and idle connections
function Client:network_changed() end

---Ends every transfer (code "cancelled") and closes every connection.
function Client:close() end

---@class multisocket
---@field version string
---@field on_error fun(err: any, traceback: string) gets errors nobody catches; prints them by default
local ms = {}

---Fetches a URL and waits: a coroutine is suspended, the main thread runs the
---loop. Raises inside a callback on the main thread.
---@param url string|multisocket.FetchOptions
---@param opts? multisocket.Options
---@return multisocket.Response? res
---@return multisocket.Error? err
function ms.fetch(url, opts) end
ms.get = ms.fetch
ms.head = ms.fetch
ms.post = ms.fetch
ms.put = ms.fetch
ms.patch = ms.fetch
ms.delete = ms.fetch
ms.options = ms.fetch

---Starts a transfer without waiting: callback(err, res) is called from the
---loop, exactly once, never before this returned.
---@param url string|multisocket.FetchOptions
---@param opts multisocket.Options
---@param callback fun(err: multisocket.Error?, res: multisocket.Response?)
---@return multisocket.Handle
---@overload fun(url: string|multisocket.FetchOptions, callback: fun(err: multisocket.Error?, res: multisocket.Response?)): multisocket.Handle
function ms.request(url, opts, callback) end

---@param opts? multisocket.ClientOptions
---@return multisocket.Client
function ms.client(opts) end

---Runs fn(...) as a task and waits until it and all tasks spawned in it ended.
---Errors end them all and are raised.
---@param fn function
---@param ... any
---@return any ...
function ms.run(fn, ...) end

---Starts fn(...) as a task; it begins soon, never before this returned.
---@param fn function
---@param ... any
---@return multisocket.Task
function ms.spawn(fn, ...) end

---@class multisocket.Url
---@field href string all of it, serialised
---@field protocol "http:"|"https:"
---@field username string
---@field password string
---@field host string "example.org:8080"
---@field hostname string "example.org", "[::1]"
---@field port string "" when it is the scheme's own
---@field pathname string "/a/b"
---@field search string "?q=1", or ""
---@field hash string "#top", or ""
---@field origin string "https://example.org:8080"

---Takes an http or https URL apart by the rules of the URL standard
---(url.spec.whatwg.org), relative to `base` where one is given.
---@param input string
---@param base? string
---@return multisocket.Url?
---@return multisocket.Error? err `bad_url` or `unsupported_scheme`
function ms.url(input, base) end

---A date as HTTP fields have it, in any of its three forms.
---@param text string
---@return integer? seconds since 1970; nil: it is none
function ms.http_date(text) end

---An empty cookie jar.
---@return multisocket.Jar
function ms.jar() end

---What was registered: "example.co.uk" of "www.example.co.uk".
---@param host string
---@return string? domain nil for a public suffix, an address, and without libpsl
function ms.registrable_domain(host) end

---@param milliseconds number
function ms.sleep(milliseconds) end

---@class multisocket.Entry
---@field ok boolean
---@field value? any the first value returned
---@field values? { n: integer, [integer]: any } all of them
---@field error? any what was raised, or returned behind nil

---Runs functions at once; the entries are in their order.
---@param functions function[]
---@param opts? { concurrency: integer?, stop_on_error: boolean? } default 8, false
---@return multisocket.Entry[]
function ms.gather(functions, opts) end

---The same with fn(item, i) for every item of a list.
---@param list any[]
---@param fn fun(item: any, i: integer): any
---@param opts? { concurrency: integer?, stop_on_error: boolean? } default 8, false
---@return multisocket.Entry[]
function ms.map(list, fn, opts) end

---Runs functions at once: what the first to end returned, nil and the error when
---it failed. The others are cancelled.
---@param functions function[]
---@return any ...
function ms.race(functions) end

---Runs functions at once: what the first to succeed returned, and the others are
---cancelled; else nil and an err of code "all_failed".
---@param functions function[]
---@return any ...
function ms.any(functions) end

---Runs fn(...) for that long: what it returned, nil and the error when it failed
---or (code "timed_out") had to be cancelled.
---@param milliseconds number
---@param fn function
---@param ... any
---@return any ...
function ms.with_timeout(milliseconds, fn, ...) end

---What `semaphore:acquire` gives; a `<close>` variable gives it back.
---@class multisocket.Permit
local Permit = {}

---Gives it back. Harmless twice.
function Permit:release() end

---Lets in at most n at a time, in the order of asking.
---@class multisocket.Semaphore
local Semaphore = {}

---Waits for a permit.
---@return multisocket.Permit
function Semaphore:acquire() end

---Gives back a permit that did not do so itself.
function Semaphore:release() end

---Calls fn(...) with a permit and returns what it returns.
---@param fn function
---@param ... any
---@return any ...
function Semaphore:run(fn, ...) end

---@param n integer
---@return multisocket.Semaphore
function ms.semaphore(n) end

---As coroutine.wrap, but fn may wait; its consumer waits then. Leaving a generic
---for over it ends fn.
---@param fn function
---@return fun(...): any ...
function ms.wrap(fn) end

---`for i, res, err in ms.each(requests) do`: results in the order of their
---completion. Leaving the loop cancels the rest.
---@param requests (string|multisocket.FetchOptions)[]|fun(): string|multisocket.FetchOptions|nil list, or lazy iterator
---@param opts? { concurrency: integer? } default 8
---@return fun(): integer?, multisocket.Response?, multisocket.Error?
function ms.each(requests, opts) end

---Hands over the luv module to use, and for hosts that run the loop themselves
---a function that waits until `done()` is true. `mode` is how clients watch
---their sockets: "epoll", one luv handle for all (default), or "poll", one each,
---which saves a system call when few are busy, but luv then writes a line to
---stderr whenever a peer resets a connection.
---@param opts { uv: table?, wait: fun(done: fun(): boolean)|false|nil, mode: "poll"|"epoll"|nil }
function ms.use(opts) end

---What this build can do: `tls`, `http2`, `idn` (libidn2's version, or false without it), `openssl`,
---`nghttp2`, `libuv`.
---@return table<string, boolean|string> features
function ms.features() end

-- ---- multisocket.luv -------------------------------------------------------

---Drives a core multi handle on a luv loop.
---@class multisocket.Driver
local Driver = {}

---Lets go of the multi and closes every luv handle of the driver.
function Driver:close() end

---Looks again whether transfers run, after some were removed.
function Driver:refresh() end

---@class multisocket.luv
local luv = {}

---@param multi multisocket.Multi
---@param uv table the luv module
---@param opts? { mode: "poll"|"epoll"|nil, on_raise: fun(err: any)|nil }
---@return multisocket.Driver
function luv.attach(multi, uv, opts) end

-- ---- multisocket.poll ------------------------------------------------------

---Drives a core multi handle with no event library.
---@class multisocket.PollDriver
local PollDriver = {}

---@param done? fun(): any default: no transfer runs
function PollDriver:run(done) end
---@param ms? integer -1, the default: no limit
---@param extra_fds? { fd: integer, events: integer, revents: integer? }[]
---@return integer running
---@return integer ready
function PollDriver:turn(ms, extra_fds) end
function PollDriver:close() end

---@class multisocket.poll
local poll = {}

---@param multi multisocket.Multi
---@return multisocket.PollDriver
function poll.attach(multi) end

-- ---- multisocket.cqueues ---------------------------------------------------

---Drives a core multi handle on a cqueues controller.
---@class multisocket.CqueuesDriver
local CqueuesDriver = {}

---Looks again whether transfers run, after some were removed.
function CqueuesDriver:refresh() end
function CqueuesDriver:close() end

---@class multisocket.cqueues
local on_cqueues = {}

---@param multi multisocket.Multi
---@param cq userdata a controller
---@return multisocket.CqueuesDriver
function on_cqueues.attach(multi, cq) end

-- ---- multisocket.core ------------------------------------------------------

---Many transfers on one loop; see docs/api for what each call promises.
---@class multisocket.Multi
local Multi = {}

---@param easy multisocket.Easy
---@return true
function Multi:add_handle(easy) end
---@param easy multisocket.Easy
---@return true
function Multi:remove_handle(easy) end
---@param fd integer or core.SOCKET_TIMEOUT
---@param mask integer core.CSELECT_* bits, 0 = find out
---@return integer running
function Multi:socket_action(fd, mask) end
---@return multisocket.Easy? easy
---@return boolean ok
---@return multisocket.Error? err
---@return integer left
function Multi:info_read() end
---@param fd integer
---@param value any
function Multi:assign(fd, value) end
---@param opts multisocket.MultiOptions
function Multi:setopt(opts) end
---@return integer? ms
function Multi:timeout() end
---@param question integer
---@param addresses string[]? nil: it cannot be told
---@return boolean false: nobody waits for it
function Multi:answer(question, addresses) end
---Forgets addresses, answers of DNS, and idle connections
function Multi:network_changed() end
---@return integer
function Multi:running() end
---@return boolean in a child that got it by fork: its connections are the parent's
function Multi:forked() end
---@return multisocket.Easy[]
function Multi:handles() end
---@return { fd: integer, action: integer, readers: integer, writers: integer, easies: multisocket.Easy[], owner: string }[]
function Multi:sockets() end
---@return multisocket.Stats
function Multi:stats() end
---@return integer running
function Multi:perform() end
---@param ms integer -1: no limit
---@param extra_fds? { fd: integer, events: integer, revents: integer? }[]
---@return integer ready
function Multi:poll(ms, extra_fds) end
---@return { fd: integer, events: integer }[]
function Multi:waitfds() end
function Multi:wakeup() end
---@return integer waker for core.wake, from any thread
function Multi:waker() end
function Multi:network_changed() end
---@return string for people: what there is, and what it waits for
function Multi:dump() end
function Multi:close() end

---`false` removes a callback.
---@class multisocket.MultiOptions
---@field socketfunction? false|fun(easy: multisocket.Easy?, fd: integer, what: integer, value: any)
---@field timerfunction? false|fun(multi: multisocket.Multi, timeout_ms: integer)
---@field donefunction? false|fun(easy: multisocket.Easy, ok: boolean, err: multisocket.Error?)
---@field max_connections? integer|false
---@field max_connections_per_host? integer|false
---@field max_age? integer|false
---@field per_host? multisocket.PerHost|false
---@field max_idle? integer|false
---@field idle_timeout? integer
---@field max_concurrent_streams? integer|false
---@field ping_interval? integer|false
---@field edge_triggered? boolean the loop tells a readiness once, as with EPOLLET

---One transfer, which may be used again and again.
---@class multisocket.Easy
local Easy = {}

---@param opts multisocket.FetchOptions
function Easy:setopt(opts) end
---@param name string
---@return any
function Easy:getinfo(name) end
---@param mask integer core.PAUSE_* bits
function Easy:pause(mask) end
---@return multisocket.Response?
function Easy:response() end
---@return multisocket.Response? response the easy is free for its next run
function Easy:take() end
---@param url string
---@param options userdata from core.options
function Easy:begin(url, options) end
---@param oneshot boolean leave the multi at the end, post no message
function Easy:oneshot(oneshot) end
function Easy:reset() end
function Easy:close() end

return ms
