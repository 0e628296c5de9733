import Cryptography
import Database
import Formats
import HTTPServer
import Staff
import Synchronization
import TestSupport

@testable import WebService

/// Somebody at the console: keeps the session's cookie and sends its forms, as a browser would.
final class ConsoleClient: Sendable {
    static let password = "a long enough passphrase"

    let stage: WebStage
    let name: String
    private let session = Mutex<String?>(nil)
    /// Of the one-time codes, once enrolled.
    private let key = Mutex<[UInt8]>([])

    init(_ stage: WebStage, name: String) {
        self.stage = stage
        self.name = name
    }

    var sessionID: String? {
        get { session.withLock { $0 } }
        set { session.withLock { $0 = newValue } }
    }

    /// Adds a user to the installation.
    static func add(_ stage: WebStage, _ name: String, _ role: StaffRole, mustChange: Bool = false, language: String = "en") async throws {
        let hash = PasswordHash(of: password, cost: WebStage.passwordCost)
        let now = stage.nowMs
        _ = try await stage.database.write {
            try StaffStore.add(
                name, role: role, password: hash, mustChange: mustChange, language: language, actor: "test", nowMs: now, in: $0)
        }
    }

    /// A user of that role who is signed in, with codes enrolled.
    static func signedIn(_ stage: WebStage, _ role: StaffRole, name: String? = nil, language: String = "en") async throws -> ConsoleClient {
        let client = ConsoleClient(stage, name: name ?? role.rawValue)
        try await add(stage, client.name, role, language: language)
        try await client.enrol()
        return client
    }

    // MARK: Signing in

    /// The first sign-in. - Returns: the recovery codes.
    @discardableResult
    func enrol() async throws -> [String] {
        let begun = try await enter(Self.password)
        guard begun.headers["location"] == "/console/enrol" else { throw FixtureError("no enrolment: \(begun.status) \(begun.text)") }
        let page = try await get("/console/enrol")
        guard let text = page.text.between("<code>", "</code>"), let bytes = Base32.decode(text) else { throw FixtureError(page.text) }
        key.withLock { $0 = bytes }
        let answer = try await post("/console/enrol", [("code", code())])
        guard answer.status == 200 else { throw FixtureError("not enrolled: \(answer.status) \(answer.text)") }
        return answer.text.split(separator: "<li>").dropFirst().compactMap { String($0).between("", "</li>") }
    }

    /// A further sign-in.
    func signIn() async throws -> WebStage.Answer {
        _ = try await enter(Self.password)
        // A code is taken once.
        stage.turnClock(by: OneTimeCode.stepSeconds * 1000)
        return try await post("/console/code", [("code", code())])
    }

    /// Name and password.
    func enter(_ password: String, _ more: [(String, String)] = [], headers: HTTPHeaders = [:]) async throws -> WebStage.Answer {
        try await keep(stage.form("/console/sign-in", [("name", name), ("password", password)] + more, headers: with(headers)))
    }

    /// The code of now.
    func code(stepsAhead: Int64 = 0) -> String {
        OneTimeCode.code(key.withLock { $0 }, step: OneTimeCode.step(atMs: stage.nowMs) + stepsAhead)
    }

    // MARK: Asking

    func get(_ path: String, method: String = "GET") async throws -> WebStage.Answer {
        try await keep(stage.send(method, path, headers: with(["accept": "text/html"])))
    }

    /// Sends a form of the session, or one with another token.
    func post(_ path: String, _ fields: [(String, String)] = [], token: String? = nil, headers: HTTPHeaders = [:]) async throws -> WebStage.Answer {
        let own = sessionID.map(StaffSession.formToken) ?? ""
        return try await keep(stage.form(path, fields + [("token", token ?? own)], headers: with(headers)))
    }

    /// Sends a form with a file.
    func upload(
        _ path: String, _ field: String, _ bytes: [UInt8], name: String, _ fields: [(String, String)] = [], token: String? = nil
    ) async throws -> WebStage.Answer {
        var body: [UInt8] = []
        for (name, value) in [("token", token ?? sessionID.map(StaffSession.formToken) ?? "")] + fields {
            body += Array("--frontier\r\nContent-Disposition: form-data; name=\"\(name)\"\r\n\r\n\(value)\r\n".utf8)
        }
        let plain = name.replacing("\"", with: "%22")
        body += Array("--frontier\r\nContent-Disposition: form-data; name=\"\(field)\"; filename=\"\(plain)\"\r\n".utf8)
        body += Array("Content-Type: application/octet-stream\r\n\r\n".utf8) + bytes + Array("\r\n--frontier--\r\n".utf8)
        return try await stage.send("POST", path, headers: with(["content-type": "multipart/form-data; boundary=frontier"]), body: body)
    }

    private func with(_ headers: HTTPHeaders) -> HTTPHeaders {
        var headers = headers
        if let id = sessionID { headers["cookie"] = "other=1; quittance_console=\(id)" }
        return headers
    }

    private func keep(_ answer: WebStage.Answer) -> WebStage.Answer {
        if let set = answer.headers["set-cookie"], let value = set.between("quittance_console=", ";") {
            sessionID = value.isEmpty ? nil : value
        }
        return answer
    }
}

extension ConsolePath {
    /// One page of each kind below those of the menu, of those that need nothing to be there.
    static func samples(_ language: String) -> [String] {
        [MessageTemplatePages.path, provider("feexpay"), template(0), prompt(language, 1)]
    }
}

extension String {
    /// What stands behind the first of one text and before the next of another.
    func between(_ start: String, _ end: String) -> String? {
        let from = start.isEmpty ? startIndex : firstRange(of: start)?.upperBound
        guard let from, let to = self[from...].firstRange(of: end) else { return nil }
        return String(self[from..<to.lowerBound])
    }
}
