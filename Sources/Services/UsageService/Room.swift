enum UsageServiceRoom {}
