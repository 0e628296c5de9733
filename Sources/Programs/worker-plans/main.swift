print("worker-plans")
