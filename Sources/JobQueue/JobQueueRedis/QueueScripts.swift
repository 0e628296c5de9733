import RedisClient

/// The scripts of `Scripts/`, each under the contract written above it.
enum QueueScripts {
    static let step = script("step", PackageResources.step_lua)
    static let register = script("register", PackageResources.register_lua)
    static let renew = script("renew", PackageResources.renew_lua)
    static let release = script("release", PackageResources.release_lua)
    static let enqueue = script("enqueue", PackageResources.enqueue_lua)
    static let publish = script("publish", PackageResources.publish_lua)
    static let admit = script("admit", PackageResources.admit_lua)
    static let resume = script("resume", PackageResources.resume_lua)
    static let replay = script("replay", PackageResources.replay_lua)
    static let cancel = script("cancel", PackageResources.cancel_lua)
    static let count = script("count", PackageResources.count_lua)
    static let find = script("find", PackageResources.find_lua)
    static let remove = script("remove", PackageResources.remove_lua)
    static let hasten = script("hasten", PackageResources.hasten_lua)
    static let arrive = script("arrive", PackageResources.arrive_lua)
    static let progress = script("progress", PackageResources.progress_lua)
    static let forget = script("forget", PackageResources.forget_lua)

    private static func script(_ name: String, _ source: [UInt8]) -> RedisScript {
        RedisScript(name: name, source: String(decoding: source, as: UTF8.self))
    }
}
