import Formats

/// The settings with what the sources file says in place of the environment's word.
extension Settings {
    /// What a program does with the sources file at its start.
    public enum SourcesUse: Sendable {
        /// Obeys the file, makes it from the environment when there is none, and fills in what it does not say.
        case seeding
        /// Obeys the file.
        case reading
        /// Obeys the file, even where the environment says otherwise: for the commands that put that right.
        case tolerating
    }

    /// Reads the process's environment and the sources file.
    /// - Throws: all problems together; those of the sources file as problems of `SOURCES_FILE`, and every variable in which the
    ///   environment disagrees with it.
    public static func load(_ use: SourcesUse = .reading) throws(SettingsError) -> Settings {
        try load(environment: ProcessEnvironment.all(), use)
    }

    /// The same for a given environment.
    public static func load(environment: [String: String], _ use: SourcesUse) throws(SettingsError) -> Settings {
        let file = SourcesFile(path: sourcesPath(in: environment))
        switch file.read() {
        case .absent: return try seeded(environment, SourceBook(), file, use)
        case .good(let book):
            do {
                return try seeded(environment, book, file, use)
            } catch {
                // A file whose content breaks a rule is as bad as a damaged one, unless it is the environment that is at fault.
                guard let copy = file.readCopy(), copy != book else { throw error }
                guard let settings = try? Settings(environment: environment, sources: copy), agrees(copy, environment, file, use) else { throw error }
                return settings.noting("\(file.path) breaks a rule, and its last good copy is in force: \(error)")
            }
        case .copy(let book, let problem):
            try refuseDifferences(book, environment, file, use)
            return try Settings(environment: environment, sources: book).noting("\(problem); its last good copy is in force")
        case .unusable(let problem):
            guard use == .tolerating else {
                throw SettingsError(problems: [
                    SettingProblem(
                        variable: "SOURCES_FILE", fault: problem, rule: "a file that `quittance source` has written, for its owner only (600)",
                        example: "mend it, or move it away and let the environment fill a new one")
                ])
            }
            return try Settings(environment: environment).noting(problem)
        }
    }

    private static func seeded(
        _ environment: [String: String], _ book: SourceBook, _ file: SourcesFile, _ use: SourcesUse
    ) throws(SettingsError) -> Settings {
        try refuseDifferences(book, environment, file, use)
        let settings = try Settings(environment: environment, sources: book)
        guard use == .seeding else { return settings }
        guard book.misses(in: environment) else { return settings }
        do {
            let filled = try file.change { book in
                _ = book.take(from: environment, replacing: false)
                return book
            }
            try refuseDifferences(filled, environment, file, use)
            return try Settings(environment: environment, sources: filled)
        } catch let error as SettingsError {
            throw error
        } catch {
            return settings.noting("\(file.path) cannot be written, so the environment rules: \(error)")
        }
    }

    private static func refuseDifferences(
        _ book: SourceBook, _ environment: [String: String], _ file: SourcesFile, _ use: SourcesUse
    ) throws(SettingsError) {
        guard use != .tolerating else { return }
        let problems = book.differences(from: environment, path: file.path)
        guard problems.isEmpty else { throw SettingsError(problems: problems) }
    }

    private static func agrees(_ book: SourceBook, _ environment: [String: String], _ file: SourcesFile, _ use: SourcesUse) -> Bool {
        use == .tolerating || book.differences(from: environment, path: file.path).isEmpty
    }

    static func sourcesPath(in environment: [String: String]) -> String {
        let reader = SettingsReader(environment: environment)
        return reader.raw("SOURCES_FILE") ?? withoutSlash(reader.value("VAR_DIRECTORY") ?? "var") + "/sources.json"
    }

    // MARK: A changed file

    /// The settings as another book has them.
    public func applying(_ book: SourceBook) throws(SettingsError) -> Settings { try Settings(environment: said, sources: book) }

    /// Where the environment says otherwise than a book, and did not when the book took note of it.
    public func differences(from book: SourceBook) -> [SettingProblem] { book.differences(from: said, path: sourcesFile) }

    /// Lets the book take what the environment says and it does not; with `replacing`, also where the two differ.
    /// - Returns: the variables whose word was taken.
    public func fill(_ book: inout SourceBook, replacing: Bool) -> [String] { book.take(from: said, replacing: replacing) }

    /// Whether a provider's secret may be one of our own making, to be entered on the provider's side.
    public static func choosesSecret(of provider: String) -> Bool {
        ["standard-webhooks", "payment-backend", "kkiapay", "orange-money", "feexpay", "icount"].contains(provider)
    }

    /// Whether webhooks of a provider are checked by a secret at all.
    public static func takesSecret(_ provider: String) -> Bool {
        ProviderDescription.all.contains { $0.name == provider && ($0.proof ?? $0.capability) != nil }
    }
}
