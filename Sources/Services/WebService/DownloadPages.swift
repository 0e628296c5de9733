import Database
import Downloads
import Formats
import HTTPServer
import ObjectStorage
import Payments
import ProviderPort
import Telemetry

/// `/downloads/<token>`: a private file behind a signed link that is good for a few uses, usually one.
///
/// Looking (GET, HEAD) shows a page and uses nothing: programs that look into mails follow every link. Only the page's button (POST) uses the
/// link up. Whatever is wrong with a link, the answer is the same.
struct DownloadPages: Sendable {
    let database: Database
    /// Nil where the program has none to read from.
    let storage: (any ObjectStorage)?
    /// Nil where the installation has no secret to sign with.
    let link: DownloadLink?
    let page: Page
    let clients: ClientAddresses
    let log: Log
    let nowMs: @Sendable () -> Int64
    private let budget = LinkBudget(requestsMax: 120, failuresMax: 30)

    init(
        database: Database, storage: (any ObjectStorage)?, link: DownloadLink?, clients: ClientAddresses, log: Log,
        nowMs: @escaping @Sendable () -> Int64
    ) {
        self.database = database
        self.storage = storage
        self.link = link
        // Browsers hold the redirection to the storage against the page's policy.
        page = Page(formTargets: storage?.linkOrigin.map { [$0] } ?? [])
        self.clients = clients
        self.log = log
        self.nowMs = nowMs
    }

    var routes: [Route] {
        [
            Route("GET", "/downloads/{token}", .page, bodyLimit: 0, look),
            Route("POST", "/downloads/{token}", .page, bodyLimit: 4096, download),
        ]
    }

    private static func path(_ token: String) -> String { "/downloads/\(PercentEncoding.encodePathSegment(token))" }

    /// What a request says: of a link that is none, everything but the claim is as with others.
    private struct Visit {
        let claim: DownloadClaim
        let address: String
        let origin: [UInt8]
        let nowMs: Int64
    }

    private func visit(_ call: WebCall) throws(WebProblem) -> Visit {
        let now = nowMs()
        let address = clients.limitKey(of: call.request)
        guard budget.take(address, nowMs: now) else {
            throw WebProblem.tooMany("try again in a minute", afterSeconds: 60)
        }
        return Visit(
            claim: link?.read(call.value("token")) ?? .none, address: address, origin: link?.origin(of: address) ?? [], nowMs: now)
    }

    /// One same answer for everything that opens nothing; the reason is for the log and the counters only.
    private func refused(_ refusal: DownloadRefusal, _ visit: Visit) -> HTTPResponse {
        budget.failed(visit.address, nowMs: visit.nowMs)
        Self.count(refusal.rawValue)
        if refusal != .unknown {
            log.info("a download was refused", ["download": .string(visit.claim.download), "reason": .string(refusal.rawValue)])
        }
        return page.notFound(Words("fr"))
    }

    private func guarded(_ call: WebCall, _ body: (Visit) async throws -> HTTPResponse) async throws -> HTTPResponse {
        let visit: Visit
        do {
            visit = try self.visit(call)
        } catch {
            return page.problem(error, Words("fr"), back: nil)
        }
        do {
            return try await body(visit)
        } catch let refusal as DownloadRefusal {
            return refused(refusal, visit)
        } catch let error as ObjectStorageError {
            // Nothing was used: whoever tries again gets the file.
            log.error("a download's file cannot be had", ["download": .string(visit.claim.download), "error": .string(error.description)])
            Self.count("no_file")
            return page.problem(.unavailable, Words("fr"), back: nil)
        }
    }

    // MARK: Looking

    private func look(_ call: WebCall) async throws -> HTTPResponse {
        try await guarded(call) { visit in
            if call.request.method == "GET", let resumed = try await resume(call, visit) { return resumed }
            let (grant, language) = try await database.read { connection in
                let grant = try Downloads.look(visit.claim, nowMs: visit.nowMs, in: connection)
                return (grant, try PaymentStore.require(grant.payment, in: connection).customer.language)
            }
            return shown(grant, path: Self.path(call.value("token")), Words(language))
        }
    }

    private func shown(_ grant: DownloadGrant, path: String, _ words: Words) -> HTTPResponse {
        let left = grant.usesMax - grant.usedCount
        let once = words(
            left == 1 ? "Ce lien ne fonctionne qu’une fois." : "Ce lien fonctionne encore \(left) fois.",
            left == 1 ? "This link works only once." : "This link works \(left) more times.")
        let until = Timestamp.rfc3339(grant.expiresAtMs).prefix(16).split(separator: "T").joined(separator: " ") + " UTC"
        return page.response(
            200, words, title: words("Votre document est prêt", "Your document is ready"),
            """
            <dl>
            <dt>\(words("Fichier", "File"))</dt><dd><bdi>\(grant.file.name)</bdi></dd>
            <dt>\(words("Taille", "Size"))</dt><dd>\(Self.size(grant.file.size, words))</dd>
            <dt>\(words("Valable jusqu’au", "Valid until"))</dt><dd>\(until)</dd>
            </dl>
            <p class="note">\(once) \(words("Gardez le fichier une fois téléchargé.", "Keep the file once it is downloaded."))</p>
            <form method="post" action="\(path)"><button>\(words("Télécharger", "Download"))</button></form>
            """)
    }

    /// `1,4 Mo`, `1.4 MB`.
    static func size(_ bytes: Int64, _ words: Words) -> String {
        let (unit, scale): (String, Int64) = bytes < 1_000_000 ? (words("ko", "kB"), 1000) : (words("Mo", "MB"), 1_000_000)
        let tenths = max(1, (bytes * 10 + scale / 2) / scale)
        let fraction = tenths % 10 == 0 ? "" : "\(words(",", "."))\(tenths % 10)"
        return "\(tenths / 10)\(fraction)\u{A0}\(unit)"
    }

    // MARK: Downloading

    private func download(_ call: WebCall) async throws -> HTTPResponse {
        try await guarded(call) { visit in
            if let resumed = try await resume(call, visit) { return resumed }
            let grant = try await database.read { try Downloads.look(visit.claim, nowMs: visit.nowMs, in: $0) }
            // The file first: a link is not used up by a disk that is gone.
            let opened = try await open(grant.file, range: nil)
            let use = try await database.write { try Downloads.consume(visit.claim, origin: visit.origin, nowMs: visit.nowMs, in: $0) }
            Self.count("used")
            return answer(opened, use, .whole)
        }
    }

    /// Goes on with a download that broke; nil when none is asked for or there is none to go on with.
    private func resume(_ call: WebCall, _ visit: Visit) async throws -> HTTPResponse? {
        let request = call.request
        guard let field = request.headers["range"], request.headers.values("range").count == 1 else { return nil }
        guard let grant = try await database.read({ try Downloads.show(visit.claim.download, in: $0) }),
            case .part(let first, let count) = ByteRange(field, size: grant.file.size)
        else { return nil }
        // A storage that sends files itself gives them tags of its own, which no use is found by: there the address alone tells who goes on.
        let tag = storage?.linkOrigin == nil ? request.headers["if-range"].map(Self.unquoted) : nil
        let rest = DownloadRest(tag: tag, first: first, count: count)
        let use: DownloadUse
        do {
            use = try await database.write { try Downloads.resume(visit.claim, rest, origin: visit.origin, nowMs: visit.nowMs, in: $0) }
        } catch is DownloadRefusal {
            // Perhaps it was never used: then it is as if no range were asked for.
            return nil
        }
        // Only now the file: that it cannot be had is told to nobody whose link is over.
        let opened = try await open(grant.file, range: field)
        Self.count("resumed")
        return answer(opened, use, .part(first: first, count: count))
    }

    private static func unquoted(_ tag: String) -> String {
        tag.count >= 2 && tag.hasPrefix("\"") && tag.hasSuffix("\"") ? String(tag.dropFirst().dropLast()) : tag
    }

    private func open(_ file: DownloadFile, range: String?) async throws -> ObjectSending {
        guard let storage else { throw ObjectStorageError(code: .unavailable, message: "this program has no storage", isTransient: false) }
        let presentation = ObjectPresentation(type: file.type, disposition: ContentDisposition.attachment(file.name), range: range)
        let opened = try await storage.open(file.key, as: presentation)
        let size: Int64? =
            switch opened {
            case .file(let readable): readable.size
            case .link: try await storage.size(file.key)
            }
        guard size == file.size else {
            throw ObjectStorageError(code: .notFound, message: "\(file.key) is not the file that was published", isTransient: false)
        }
        return opened
    }

    private func answer(_ opened: ObjectSending, _ use: DownloadUse, _ range: ByteRange) -> HTTPResponse {
        switch opened {
        case .file(let file):
            return FileAnswer(file, type: use.grant.file.type, name: use.grant.file.name, tag: use.tag).response(range)
        case .link(let link):
            return .redirect(303, link.url)
        }
    }

    private static func count(_ outcome: String) {
        MetricRegistry.shared.counter(
            "web_downloads_total", help: "Downloads and why others were refused, by outcome.", labels: [("outcome", outcome)]
        ).add()
    }
}
