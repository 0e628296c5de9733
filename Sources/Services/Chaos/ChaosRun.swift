import EventLoop
import Formats
import Telemetry

#if canImport(Glibc)
    import Glibc
#endif

/// What a run was asked for.
struct ChaosOptions: Sendable {
    var seconds = 300.0
    var seed = UInt64.random(in: 1...999_999)
    var plays: Set<String> = ["engine", "ingest"]
    /// Jobs a second.
    var rate = 200
    /// Posts a second, and restarts under them.
    var posts = 2000
    var restarts = 10
    var folder = ".build/chaos"
    var keeps = false
    /// Only prints so many faults of the plan.
    var planned = 0
    var recoveryLimit = 5.0
    /// Leaves effects out on purpose, to see that the reckoning finds it.
    var losesEffects = false

    static let usage = """
        usage: chaos [--minutes N | --seconds N] [--seed N] [--only engine|ingest] [--rate JOBS] [--posts N] [--restarts N]
                     [--recovery-limit SECONDS] [--folder PATH] [--keep] [--plan FAULTS] [--lose-effects]
        """

    /// Nil when the arguments make no sense.
    init?(_ arguments: [String]) {
        var rest = arguments[...]
        while let name = rest.popFirst() {
            switch name {
            case "--keep": keeps = true
            case ChaosWorker.losing: losesEffects = true
            default:
                guard let value = rest.popFirst(), take(name, value) else { return nil }
            }
        }
    }

    private mutating func take(_ name: String, _ value: String) -> Bool {
        switch name {
        case "--only":
            plays = [value]
            return ["engine", "ingest"].contains(value)
        case "--folder": folder = value
        case "--seed":
            guard let number = UInt64(value) else { return false }
            seed = number
        default:
            guard let number = Double(value), number > 0, number < 1e6 else { return false }
            switch name {
            case "--minutes": seconds = number * 60
            case "--seconds": seconds = number
            case "--recovery-limit": recoveryLimit = number
            case "--rate": rate = max(1, Int(number))
            case "--posts": posts = max(1, Int(number))
            case "--plan": planned = Int(number)
            case "--restarts": restarts = max(1, Int(number))
            default: return false
            }
        }
        return true
    }

    func say(_ text: String) {
        print(text)
        fflush(nil)
    }
}

/// The program `chaos`: plays the faults and reckons afterwards.
public enum ChaosRun {
    /// Runs what the arguments ask for.
    /// - Returns: the exit code: 0 when nothing was violated, 1 otherwise or when it could not be played, 64 for bad arguments.
    public static func run(arguments: [String]) async -> Int32 {
        guard var options = ChaosOptions(arguments) else {
            print(ChaosOptions.usage)
            return 64
        }
        guard options.planned == 0 else {
            var plan = FaultPlan(seed: options.seed)
            for number in 1...options.planned { options.say("\(number) after \(plan.nextCalm()): \(plan.next())") }
            return 0
        }
        Log.configure(format: .text, program: "chaos", level: .error)
        ProcessSignals.prepare()
        let signals = ProcessSignals.listen { name in end("stopped by \(name)", code: 130) }
        defer { signals.forget() }
        guard TextFile.read("deploy/redis.conf") != nil else {
            options.say("chaos: deploy/redis.conf is not here: run from the repository's folder")
            return 1
        }
        if !options.folder.hasPrefix("/"), let here = workingFolder { options.folder = here + "/" + options.folder }
        options.say("seed \(options.seed): the same faults again by SEED=\(options.seed)")
        var report: JSONObject = ["seed": .string("\(options.seed)")]
        var isSound = true
        for play in ["engine", "ingest"] where options.plays.contains(play) {
            do {
                let (isFine, json) = play == "engine" ? try await playEngine(options) : try await playIngest(options)
                report[play] = json
                isSound = isSound && isFine
            } catch {
                options.say("\(play): could not be played to its end: \(error)\n  evidence: \(options.folder)/\(play)")
                ChaosField.killAll()
                isSound = false
            }
        }
        let path = options.folder + "/chaos.json"
        do { try TextFile.write(JSON.object(report).text + "\n", to: path) } catch {
            options.say("chaos: \(error)")
        }
        options.say(isSound ? "\nnothing lost, nothing twice; figures: \(path)" : "\nVIOLATED; figures: \(path)")
        return isSound ? 0 : 1
    }

    private static func playEngine(_ options: ChaosOptions) async throws -> (Bool, JSON) {
        options.say("\nengine: \(FaultPlan.workers) worker processes, \(options.rate) jobs/s, faults for \(Int(options.seconds)) s")
        let field = try await ChaosField(folder: options.folder + "/engine")
        let play = try EnginePlay(field: field, options: options)
        var figures: EngineFigures?
        do {
            try await play.run(for: .seconds(options.seconds))
            figures = try await play.reckon()
        } catch {
            field.violate("the play broke off: \(error)")
        }
        await play.close()
        await field.close()
        options.say(ChaosReport.text(play.results, figures))
        return try await finish(field, options, ChaosReport.json(play.results, figures, violations: field.violations))
    }

    private static func playIngest(_ options: ChaosOptions) async throws -> (Bool, JSON) {
        options.say("\ningest: \(options.posts) posts/s asked for, \(options.restarts) restarts by hand-over, one rotated secret")
        let field = try await ChaosField(folder: options.folder + "/ingest")
        let play = IngestPlay(field: field, options: options)
        var figures: IngestFigures?
        do {
            figures = try await play.run()
        } catch {
            field.violate("the play broke off: \(error)")
        }
        await field.close()
        if let figures { options.say(figures.text) }
        return try await finish(field, options, figures?.json ?? .null)
    }

    /// Tells of what was violated, and removes the folder where nothing was.
    private static func finish(_ field: ChaosField, _ options: ChaosOptions, _ json: JSON) async throws -> (Bool, JSON) {
        guard !field.violations.isEmpty else {
            if !options.keeps { try await Folders.remove(field.folder) }
            return (true, json)
        }
        for violation in field.violations { options.say("  WRONG: \(violation)") }
        options.say("  evidence: \(field.folder) (journal.log first)")
        return (false, json)
    }

    private static func end(_ why: String, code: Int32) -> Never {
        ChaosField.killAll()
        print("chaos: \(why)")
        fflush(nil)
        exit(code)
    }

    private static var workingFolder: String? {
        var path = [CChar](repeating: 0, count: Int(PATH_MAX))
        return getcwd(&path, path.count).map { String(cString: $0) }
    }
}
