from corntriton import flow


@flow
def devices(request, c):
    way = request.parameter("way")
    filled = c.fill(size=request["size"])
    if way.startswith("kill"):
        tripled = c.triple(x=filled.y, victim=filled.pid, note=request["note"])
    elif way.startswith("hold"):
        tripled = c.triple(x=filled.y, note=request["note"])
    else:
        tripled = c.triple(x=filled.y)
    if way.startswith("both"):
        summed = c.gather(xs=[filled.y, tripled.y])
        return {"total": summed.total, "seen": summed.seen, "peeked": c.peek(x=filled.y).total}
    summed = c.total(x=tripled.y)
    if request.wants("data"):
        return {"total": summed.total, "data": tripled.y}
    return {"total": summed.total, "seen": summed.seen}
