from corntriton import flow


@flow
def sleeping(request, c):
    return {"y": c.third(x=c.second(x=c.first(x=request["x"]).y).y).y}
