import Cryptography
import Formats
import Settings
import TestSupport
import Testing

@testable import ObjectStorage

/// The examples that AWS publishes for Signature Version 4 of S3, and botocore's signer.
@Suite("Signatures of requests to S3")
struct RequestSignatureTests {
    private static let accessKey = "AKIAIOSFODNN7EXAMPLE"
    private static let secretKey = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
    private static let host = (name: "Host", value: "examplebucket.s3.amazonaws.com")
    private static let atMs = Timestamp.ms(year: 2013, month: 5, day: 24)
    private static let emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

    private var signature: RequestSignature { RequestSignature(accessKey: Self.accessKey, secret: Self.secretKey, region: "us-east-1") }

    struct Published: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let method: String
        let path: String
        var query: [(name: String, value: String)] = []
        var headers: [(name: String, value: String)] = []
        var payloadHash = RequestSignatureTests.emptyHash
        let names: String
        let signature: String
    }

    static let published = [
        Published(
            testDescription: "GET an object's first bytes", method: "GET", path: "/test.txt", headers: [("Range", "bytes=0-9")],
            names: "host;range;x-amz-content-sha256;x-amz-date", signature: "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"),
        Published(
            testDescription: "PUT an object", method: "PUT", path: "/test$file.text",
            headers: [("Date", "Fri, 24 May 2013 00:00:00 GMT"), ("x-amz-storage-class", "REDUCED_REDUNDANCY")],
            payloadHash: "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
            names: "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
            signature: "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"),
        Published(
            testDescription: "GET a bucket's lifecycle", method: "GET", path: "/", query: [("lifecycle", "")],
            names: "host;x-amz-content-sha256;x-amz-date", signature: "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        Published(
            testDescription: "GET a list of objects", method: "GET", path: "/", query: [("prefix", "J"), ("max-keys", "2")],
            names: "host;x-amz-content-sha256;x-amz-date", signature: "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
    ]

    @Test("published examples come out as published", arguments: published)
    func examples(example: Published) {
        let time = RequestSignature.Stamp(ms: Self.atMs)
        #expect(time.text == "20130524T000000Z")
        let own = [(name: "x-amz-date", value: time.text), ("x-amz-content-sha256", example.payloadHash), Self.host]
        let request = RequestSignature.Request(method: example.method, path: example.path, query: example.query, headers: own + example.headers)
        #expect(
            signature.authorization(request, payloadHash: example.payloadHash, at: time)
                == "AWS4-HMAC-SHA256 Credential=\(Self.accessKey)/20130524/us-east-1/s3/aws4_request, SignedHeaders=\(example.names), "
                + "Signature=\(example.signature)")
    }

    @Test("the published link comes out as published")
    func link() {
        let request = RequestSignature.Request(method: "GET", path: "/test.txt", headers: [Self.host])
        #expect(
            signature.presignedQuery(request, seconds: 86_400, at: RequestSignature.Stamp(ms: Self.atMs))
                == "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
                + "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
                + "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404")
    }

    @Test("the general example of the signing suite comes out as published")
    func otherService() {
        let general = RequestSignature(
            accessKey: "AKIDEXAMPLE", secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", region: "us-east-1", service: "service")
        let time = RequestSignature.Stamp(ms: Timestamp.ms(year: 2015, month: 8, day: 30, hour: 12, minute: 36))
        let request = RequestSignature.Request(
            method: "GET", path: "/", headers: [("Host", "example.amazonaws.com"), ("X-Amz-Date", "20150830T123600Z")])
        #expect(
            general.authorization(request, payloadHash: Self.emptyHash, at: time).hasSuffix(
                "SignedHeaders=host;x-amz-date, Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"))
    }

    @Test("botocore signs the same requests alike: odd keys, odd queries, bodies, parts, links")
    func botocore() async throws {
        let keys = [
            "a.txt", "a b+c.txt", "été/ü.pdf", "a&b=c?d#e", "x'()*!~-_.", "100%", "a//b", "日本/語.docx", "semi;colon,comma", "q\"uote<>", "\u{1F600}",
        ]
        let queries: [[(name: String, value: String)]] = [
            [], [("uploads", "")], [("partNumber", "12"), ("uploadId", "a+/=b c")],
            [("response-content-disposition", "attachment; filename*=UTF-8''%C3%A9.pdf")],
        ]
        var asked: [JSON] = []
        var ours: [String] = []
        for (number, key) in keys.enumerated() {
            for (place, query) in queries.enumerated() {
                for (method, body, seconds) in [("GET", "", 0), ("PUT", "content \(number) é", 0), ("GET", "", 30 + place)] {
                    let ms = Self.atMs + Int64(number * 86_400_000 * 31 + place * 3_601_000)
                    let time = RequestSignature.Stamp(ms: ms)
                    let hash = Digest.sha256Hex(Array(body.utf8))
                    let path = "/bucket/\(key)"
                    var headers: [(name: String, value: String)] = [("Host", "s3.example.org:9000")]
                    if seconds == 0 { headers += [("x-amz-content-sha256", hash), ("x-amz-date", time.text), ("Content-Type", "application/pdf")] }
                    if seconds > 30 { headers.append(("range", "bytes=5-")) }
                    let request = RequestSignature.Request(method: method, path: path, query: query, headers: headers)
                    if seconds > 0 {
                        let text = signature.presignedQuery(request, seconds: seconds, at: time)
                        ours.append(String(text.suffix(64)))
                    } else {
                        ours.append(signature.authorization(request, payloadHash: hash, at: time))
                    }
                    let text = RequestSignature.queryText(query)
                    let others = headers.dropFirst().filter { !$0.name.hasPrefix("x-amz") }.map { ($0.name, JSON.string($0.value)) }
                    asked.append([
                        "time": .string(time.text), "method": .string(method), "body": .string(body), "region": "us-east-1",
                        "url": .string("https://s3.example.org:9000\(RequestSignature.escape(path, keeping: "/"))\(text.isEmpty ? "" : "?" + text)"),
                        "headers": .object(JSONObject(others)), "expires": .int(Int64(seconds)), "access_key": .string(Self.accessKey),
                        "secret_key": .string(Self.secretKey),
                    ])
                }
            }
        }
        let process = try await ProcessFixture.start(repositoryRoot + "/.venv/bin/python", [fixture("storage/sign.py"), JSON.array(asked).text])
        guard try await process.waitForExit(within: .seconds(90).stretched) == .exited(0) else { throw FixtureError(process.transcript) }
        let theirs = try JSON(parsing: Array((process.output.last ?? "").utf8)).array ?? []
        #expect(theirs.count == ours.count && ours.count == 132)
        for (mine, other) in zip(ours, theirs) { #expect(mine == other.string) }
    }

    @Test("a key is not shown where a bucket is")
    func secret() {
        let bucket = S3Storage.Bucket(endpoint: "https://s3", region: "r", name: "n", accessKey: "a", secretKey: Secret("hunter2"))
        #expect(!"\(bucket)".contains("hunter2"))
        var text = ""
        dump(bucket, to: &text)
        #expect(!text.contains("hunter2"))
    }
}
