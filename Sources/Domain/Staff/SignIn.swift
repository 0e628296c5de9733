import Cryptography
import Database
import Formats

/// How somebody comes in: password, then a one-time code; the first time the key of the codes is enrolled. Each step that succeeds gives the
/// session a new id, so that one that was planted before is worth nothing.
public struct SignIn: Sendable {
    let database: Database
    let passwords: PasswordRoom
    let keys: SealingKeys
    let limits: StaffSession.Limits
    public let nowMs: @Sendable () -> Int64

    public init(
        database: Database, passwords: PasswordRoom, keys: SealingKeys, limits: StaffSession.Limits = StaffSession.Limits(),
        nowMs: @escaping @Sendable () -> Int64
    ) {
        self.database = database
        self.passwords = passwords
        self.keys = keys
        self.limits = limits
        self.nowMs = nowMs
    }

    /// Where somebody comes from.
    public struct Place: Sendable {
        public let address: String
        /// What tries are counted by: the address, or the network that one machine may have all to itself.
        public let network: String
        public let agent: String

        public init(address: String, network: String, agent: String) {
            self.address = address
            self.network = network
            self.agent = agent
        }

        func attempt(_ name: String, isSignedIn: Bool = false) -> SignInGuard.Try {
            SignInGuard.Try(name: name, network: network, isSignedIn: isSignedIn)
        }
    }

    /// A session that has begun: its id is told this once.
    public struct Begun: Sendable {
        public let id: String
        public let stage: StaffSession.Stage
        /// Codes for whoever loses the telephone; only where they were made just now.
        public let recoveryCodes: [String]
    }

    // MARK: Password

    /// - Throws: ``StaffError``: `refused`, `locked`, `busy`.
    public func password(name: String, _ password: String, from place: Place) async throws -> Begun {
        let name = StaffStore.name(name) ?? String(name.lowercased().prefix(40))
        let now = nowMs()
        let user = try await database.write { connection in
            try SignInGuard.begin(place.attempt(name), nowMs: now, in: connection)
            return try StaffStore.find(name: name, in: connection)
        }
        let isRight = try await passwords.matches(String(password.prefix(PasswordRule.longest * 4)), user?.password)
        guard isRight, let user, user.isEnabled else {
            try await database.write { connection in
                // Names that nobody has are somebody's passwords now and then: they are not kept.
                let subject = user?.name ?? "(unknown)"
                try StaffAudit.record(
                    "sign-in.refused", of: subject, detail: "password", actor: "nobody", address: place.address, nowMs: now, in: connection)
            }
            throw StaffError.refused
        }
        let better = user.password.cost == passwords.cost ? nil : try await passwords.hash(password)
        let stage: StaffSession.Stage = user.hasCodes ? .code : .enrol
        let id = try await database.write { connection in
            if let better { try StaffStore.rehash(better, of: user, in: connection) }
            try SignInGuard.passed(place.attempt(user.name), nowMs: now, in: connection)
            return try StaffSession.begin(
                of: user.id, stage: stage, address: place.address, agent: place.agent, lifeMs: StaffSession.stageMs, nowMs: now, in: connection)
        }
        return Begun(id: id, stage: stage, recoveryCodes: [])
    }

    // MARK: Code

    /// Takes a one-time code, or a recovery code in its place.
    /// - Throws: ``StaffError``: `refused`, `locked`.
    public func code(_ text: String, session: StaffSession, from place: Place) async throws -> Begun {
        let (now, user) = (nowMs(), session.user)
        try await database.write { try SignInGuard.begin(place.attempt(user.name), nowMs: now, in: $0) }
        let typed = text.filter { !$0.isWhitespace }
        let begun = try await database.write { connection -> Begun? in
            let way: String
            if typed.utf8.count == OneTimeCode.digits, typed.utf8.allSatisfy({ (0x30...0x39).contains($0) }) {
                guard try takeCode(typed, of: user, nowMs: now, in: connection) else { return nil }
                way = "code"
            } else {
                guard try takeRecovery(typed, of: user.id, nowMs: now, in: connection) else { return nil }
                way = "recovery code"
            }
            return try open(session, way: way, place, nowMs: now, in: connection)
        }
        guard let begun else { throw try await refusal("sign-in.refused", "code", of: user, place, nowMs: now) }
        return begun
    }

    /// Enters a try of somebody who is known by their session, and was wrong.
    private func refusal(_ action: String, _ detail: String, of user: StaffUser, _ place: Place, nowMs: Int64) async throws -> StaffError {
        try await database.write { connection in
            try StaffAudit.record(action, of: user.name, detail: detail, actor: user.actor, address: place.address, nowMs: nowMs, in: connection)
        }
        return .refused
    }

    /// One changed row is what says that no other request took the same code.
    private func takeCode(_ code: String, of user: StaffUser, nowMs: Int64, in connection: Connection) throws -> Bool {
        guard let sealed = user.sealedKey, let key = keys.open(sealed, for: user.id) else { return false }
        let row = try connection.first("SELECT code_step FROM staff_users WHERE id = $1", [.text(user.id)])
        guard let step = OneTimeCode.step(of: code, key: key, nowMs: nowMs, after: try row?.int("code_step") ?? 0) else { return false }
        // With the key that was read: one that was dropped or exchanged meanwhile takes no code any more. A key that was sealed with the
        // installation's secret of before is sealed anew, or nobody could sign in once that is taken away.
        return try connection.execute(
            "UPDATE staff_users SET code_step = $2, code_key = $4 WHERE id = $1 AND code_step < $2 AND code_key = $3",
            [.text(user.id), .integer(step), .blob(sealed), .blob(keys.renewed(sealed, for: user.id) ?? sealed)]) == 1
    }

    private func takeRecovery(_ text: String, of user: String, nowMs: Int64, in connection: Connection) throws -> Bool {
        for digest in keys.digests(of: RecoveryCode.plain(text), for: user) {
            let taken = try connection.execute(
                "UPDATE staff_recovery_codes SET used_at = $3 WHERE user = $1 AND digest = $2 AND used_at IS NULL",
                [.text(user), .blob(digest), .integer(nowMs)])
            if taken == 1 { return true }
        }
        return false
    }

    private func open(
        _ session: StaffSession, way: String, recoveryCodes: [String] = [], _ place: Place, nowMs: Int64, in connection: Connection
    ) throws -> Begun? {
        let user = session.user
        // The step before is used up: of two requests with the same one only the first opens a session.
        guard try StaffSession.end(session.number, of: user.id, in: connection) else { return nil }
        let id = try StaffSession.begin(
            of: user.id, stage: .open, address: place.address, agent: place.agent, lifeMs: limits.longestMs, nowMs: nowMs, in: connection)
        try SignInGuard.succeeded(place.attempt(user.name), nowMs: nowMs, in: connection)
        try connection.execute("UPDATE staff_users SET signed_in_at = $2 WHERE id = $1", [.text(user.id), .integer(nowMs)])
        try StaffAudit.record(StaffAudit.signIn, of: user.name, detail: way, actor: user.actor, address: place.address, nowMs: nowMs, in: connection)
        return Begun(id: id, stage: .open, recoveryCodes: recoveryCodes)
    }

    // MARK: Enrolment

    /// The key that is being enrolled, the same each time it is looked at.
    public func pendingKey(of session: StaffSession) async throws -> [UInt8] {
        let user = session.user.id
        return try await database.write { [keys] connection in
            let row = try connection.first("SELECT pending_key FROM staff_sessions WHERE number = $1", [.integer(session.number)])
            if let sealed = try row?.blobOrNil("pending_key"), let key = keys.open(sealed, for: user) { return key }
            let key = OneTimeCode.makeKey()
            try connection.execute(
                "UPDATE staff_sessions SET pending_key = $2 WHERE number = $1",
                [.integer(session.number), .blob(keys.seal(key, for: user))])
            return key
        }
    }

    /// Takes the first code of a new key: from now on codes are asked.
    /// - Throws: ``StaffError``: `refused`, `locked`.
    public func enrol(_ code: String, session: StaffSession, from place: Place) async throws -> Begun {
        let (now, user) = (nowMs(), session.user)
        try await database.write { try SignInGuard.begin(place.attempt(user.name), nowMs: now, in: $0) }
        let key = try await pendingKey(of: session)
        let typed = code.filter { !$0.isWhitespace }
        guard let step = OneTimeCode.step(of: typed, key: key, nowMs: now, after: 0) else {
            throw try await refusal("sign-in.refused", "enrolment", of: user, place, nowMs: now)
        }
        let begun = try await database.write { connection -> Begun? in
            // Only where none was enrolled meanwhile.
            let enrolled = try connection.execute(
                "UPDATE staff_users SET code_key = $2, code_step = $3 WHERE id = $1 AND code_key IS NULL",
                [.text(user.id), .blob(keys.seal(key, for: user.id)), .integer(step)])
            guard enrolled == 1 else { return nil }
            let codes = try renewCodes(of: user.id, in: connection)
            try StaffAudit.record("codes.enrol", of: user.name, actor: user.actor, address: place.address, nowMs: now, in: connection)
            return try open(session, way: "enrolment", recoveryCodes: codes, place, nowMs: now, in: connection)
        }
        guard let begun else { throw try await refusal("sign-in.refused", "enrolled meanwhile", of: user, place, nowMs: now) }
        return begun
    }

    /// Makes new recovery codes; the old ones are worth nothing any more. They open the account without its telephone: an open session alone is
    /// not enough for them.
    /// - Throws: ``StaffError``: `refused` for the wrong password, `locked`, `busy`.
    public func renewCodes(_ password: String, session: StaffSession, from place: Place) async throws -> [String] {
        let (now, user) = (nowMs(), session.user)
        try await confirm(password, of: user, for: "codes.renew", place, nowMs: now)
        return try await database.write { connection in
            try StaffAudit.record("codes.renew", of: user.name, actor: user.actor, address: place.address, nowMs: now, in: connection)
            return try renewCodes(of: user.id, in: connection)
        }
    }

    private func renewCodes(of user: String, in connection: Connection) throws -> [String] {
        try connection.execute("DELETE FROM staff_recovery_codes WHERE user = $1", [.text(user)])
        let codes = (0..<RecoveryCode.count).map { _ in RecoveryCode.make() }
        for code in codes {
            try connection.execute(
                "INSERT INTO staff_recovery_codes (user, digest) VALUES ($1, $2)",
                [.text(user), .blob(keys.digests(of: RecoveryCode.plain(code), for: user)[0])])
        }
        return codes
    }

    // MARK: The own password

    /// Has somebody who is signed in say their password once more, for what a session that was left open must not do.
    private func confirm(_ password: String, of user: StaffUser, for deed: String, _ place: Place, nowMs: Int64) async throws {
        let attempt = place.attempt(user.name, isSignedIn: true)
        try await database.write { try SignInGuard.begin(attempt, nowMs: nowMs, in: $0) }
        guard try await passwords.matches(String(password.prefix(PasswordRule.longest * 4)), user.password) else {
            throw try await refusal("\(deed).refused", "password", of: user, place, nowMs: nowMs)
        }
        try await database.write { try SignInGuard.passed(attempt, nowMs: nowMs, in: $0) }
    }

    /// - Throws: ``StaffError``: `refused` for the wrong old one, `invalid` for a new one that breaks the rule, `locked`.
    public func changePassword(from old: String, to new: String, session: StaffSession, from place: Place) async throws {
        let (now, user) = (nowMs(), session.user)
        try await confirm(old, of: user, for: "user.password", place, nowMs: now)
        try PasswordRule.check(new, name: user.name)
        guard new != old else { throw StaffError.invalid(field: "password", rule: "must be another one than before") }
        let hash = try await passwords.hash(new)
        try await database.write { connection in
            try StaffStore.setPassword(
                hash, of: user.id, mustChange: false, dropsCodes: false, keeping: session.number, actor: user.actor, nowMs: now, in: connection)
        }
    }
}
