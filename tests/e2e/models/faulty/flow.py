from corntriton import flow


@flow
def faulty(request, c):
    if request.wants("drops"):
        return {"drops": c.drip(order=request["order"]).drop}
    if request.parameter("once", False):
        return {"result": c.once(order=request["order"]).result}
    return {"result": c.risky(order=request["order"]).result}
