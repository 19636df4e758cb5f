from corntriton import flow


@flow
def guarded(request, c):
    data = c.give(size=request["size"]).data
    if request.parameter("hold", False):
        return {"total": c.hold(data=data).total}
    if request.parameter("twice", False):
        return {"total": c.take_all(datas=[data, data]).total}
    return {"total": c.take(data=data).total}
