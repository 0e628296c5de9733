enum JobQueueRedisRoom { static let s = PackageResources.placeholder_lua }
