import Cryptography
import Formats
import HTTPClient
import PrivateFiles
import Settings

/// One call about one object.
struct S3Call {
    let method: String
    let key: String
    var query: [(name: String, value: String)]
    var type: String?
    var body: [UInt8]
    var answerLimit: Int
    /// A call that must not be made twice is not made again after a failure that leaves open whether it arrived.
    var isRepeatable: Bool
    /// False for a call to the bucket itself; its key is what messages name.
    var hasKey = true

    init(
        _ method: String, _ key: String, query: [(String, String)] = [], type: String? = nil, body: [UInt8] = [],
        answerLimit: Int = 256 * 1024, isRepeatable: Bool = true
    ) {
        self.method = method
        self.key = key
        self.query = query.map { (name: $0.0, value: $0.1) }
        self.type = type
        self.body = body
        self.answerLimit = answerLimit
        self.isRepeatable = isRepeatable
    }
}

/// Signed calls to a bucket.
struct S3Calls: Sendable {
    /// How often a call is made that the service was too busy for, and the pause before it is made again.
    static let triesMax = 3
    static let firstPause = Duration.milliseconds(100)
    static let timeout = Duration.seconds(60)

    let client: HTTPClient
    let nowMs: @Sendable () -> Int64
    private let signature: RequestSignature
    private let scheme: String
    private let host: String
    private let pathPrefix: String
    let keyPrefix: String

    init(bucket: S3Storage.Bucket, client: HTTPClient, nowMs: @escaping @Sendable () -> Int64) {
        self.client = client
        self.nowMs = nowMs
        signature = RequestSignature(accessKey: bucket.accessKey, secret: bucket.secretKey.value, region: bucket.region)
        let (scheme, authority) = Self.parts(of: bucket.endpoint)
        self.scheme = scheme
        host = bucket.isInHost ? "\(bucket.name).\(authority)" : authority
        pathPrefix = bucket.isInHost ? "/" : "/\(bucket.name)/"
        keyPrefix = bucket.prefix
    }

    var origin: String { "\(scheme)://\(host)" }

    /// The host as clients send it: without the scheme's own port.
    private static func parts(of endpoint: String) -> (scheme: String, authority: String) {
        let scheme = endpoint.hasPrefix("http://") ? "http" : "https"
        var authority = endpoint.split(separator: "/", omittingEmptySubsequences: true).dropFirst().first.map(String.init) ?? ""
        let standard = scheme == "http" ? ":80" : ":443"
        if authority.hasSuffix(standard) { authority.removeLast(standard.count) }
        return (scheme, authority.lowercased())
    }

    /// The keys that a folder takes are those that a bucket takes: objects can move from one to the other.
    static func check(_ key: String) throws(ObjectStorageError) {
        do throws(PrivateFilesError) {
            try PrivateFiles.check(key)
        } catch {
            throw ObjectStorageError(error)
        }
    }

    // MARK: Calls

    /// - Throws: for every answer that is no success.
    func send(_ call: S3Call) async throws(ObjectStorageError) -> HTTPClient.Response {
        if call.hasKey { try Self.check(call.key) }
        var pause = Self.firstPause
        for _ in 1..<Self.triesMax where call.isRepeatable {
            do throws(ObjectStorageError) {
                return try await sendOnce(call)
            } catch {
                guard error.isTransient, error.code == .unavailable, !Task.isCancelled else { throw error }
            }
            // A cancelled pause ends early, and so does the last try.
            try? await Task.sleep(for: pause)
            pause *= 4
        }
        return try await sendOnce(call)
    }

    private func sendOnce(_ call: S3Call) async throws(ObjectStorageError) -> HTTPClient.Response {
        let time = RequestSignature.Stamp(ms: nowMs())
        let payloadHash = Digest.sha256Hex(call.body)
        var headers = [(name: "Host", value: host), ("x-amz-content-sha256", payloadHash), ("x-amz-date", time.text)]
        if let type = call.type { headers.append(("Content-Type", type)) }
        let path = call.hasKey ? pathPrefix + keyPrefix + call.key : pathPrefix
        let signed = RequestSignature.Request(method: call.method, path: path, query: call.query, headers: headers)
        var request = HTTPClient.Request(method: call.method, url: url(path, RequestSignature.queryText(call.query)))
        for (name, value) in headers.dropFirst() { request.headers.append(name, value) }
        request.headers.append("Authorization", signature.authorization(signed, payloadHash: payloadHash, at: time))
        request.body = call.body
        request.timeout = Self.timeout
        request.responseLimit = call.answerLimit
        let answer: HTTPClient.Response
        do throws(HTTPClientError) {
            answer = try await client.send(request)
        } catch {
            throw ObjectStorageError(error, call.key)
        }
        guard (200...299).contains(answer.status) else { throw Self.refusal(answer, call) }
        return answer
    }

    private func url(_ path: String, _ query: String) -> String {
        "\(scheme)://\(host)\(RequestSignature.escape(path, keeping: "/"))" + (query.isEmpty ? "" : "?\(query)")
    }

    /// A link by which anybody gets the object, for some seconds.
    func link(to key: String, as presentation: ObjectPresentation, seconds: Int) throws(ObjectStorageError) -> PresignedLink {
        try Self.check(key)
        let now = nowMs()
        var request = RequestSignature.Request(method: "GET", path: pathPrefix + keyPrefix + key, headers: [("host", host)])
        request.query = [
            ("response-cache-control", "no-store"), ("response-content-disposition", presentation.disposition),
            ("response-content-type", presentation.type),
        ]
        // A signed range is the only one that the service gives for this link.
        if let range = presentation.range { request.headers.append(("range", range)) }
        let query = signature.presignedQuery(request, seconds: seconds, at: RequestSignature.Stamp(ms: now))
        return PresignedLink(url: url(request.path, query), expiresAtMs: now + Int64(seconds) * 1000)
    }

    // MARK: Uploads in parts

    func beginUpload(_ key: String, type: String) async throws(ObjectStorageError) -> String {
        let answer = try await send(S3Call("POST", key, query: [("uploads", "")], type: type))
        guard let id = Self.element("UploadId", in: answer.body), !id.isEmpty else {
            throw ObjectStorageError(code: .unavailable, message: "\(key): the service began an upload without naming it", isTransient: true)
        }
        return id
    }

    func complete(_ upload: String, of key: String, tags: [String]) async throws(ObjectStorageError) {
        let parts = tags.enumerated().map { "<Part><PartNumber>\($0.offset + 1)</PartNumber><ETag>\(HTML.escape($0.element))</ETag></Part>" }
        let body = "<CompleteMultipartUpload>\(parts.joined())</CompleteMultipartUpload>"
        let call = S3Call("POST", key, query: [("uploadId", upload)], type: "application/xml", body: Array(body.utf8), isRepeatable: false)
        let answer = try await send(call)
        // The service may say 200 at once and only then find out that it could not.
        if let code = Self.element("Code", in: answer.body) {
            throw ObjectStorageError(code: .unavailable, message: "\(key): the parts were not joined: \(code)", isTransient: true)
        }
    }

    // MARK: Answers

    private static func refusal(_ answer: HTTPClient.Response, _ call: S3Call) -> ObjectStorageError {
        let code = element("Code", in: answer.body) ?? ""
        let said = code.isEmpty ? "\(answer.status)" : "\(answer.status) \(code)"
        func error(_ kind: ObjectStorageError.Code, _ isTransient: Bool) -> ObjectStorageError {
            ObjectStorageError(code: kind, message: "\(call.key): \(call.method) was answered \(said)", isTransient: isTransient)
        }
        switch answer.status {
        case 404 where code != "NoSuchBucket" && code != "NoSuchUpload": return error(.notFound, false)
        case 408, 409, 425, 429, 500...599: return error(.unavailable, true)
        case 400 where code == "RequestTimeout": return error(.unavailable, true)
        // Our clock is wrong, the key is, or the bucket: nothing that waiting mends.
        default: return error(.refused, false)
        }
    }

    /// The text of the first element of that name in a service's short answer, of letters, digits and a few signs only.
    static func element(_ name: String, in bytes: some Collection<UInt8>) -> String? {
        let text = String(decoding: bytes.prefix(64 * 1024), as: UTF8.self)
        guard let begin = text.firstRange(of: "<\(name)>"), let end = text[begin.upperBound...].firstRange(of: "</\(name)>") else { return nil }
        return String(text[begin.upperBound..<end.lowerBound].prefix(1024).filter { !$0.isNewline && $0 != "<" })
    }
}
