from corntriton import flow


@flow
def passing(request, c):
    if "size" in request:
        return {"total": c.count(data=c.fill(size=request["size"]).data).total}
    if "lines" in request:
        return {"lines": c.turn(lines=c.turn(lines=request["lines"]).lines).lines}
    inverted = c.invert(image=request["image"])
    return {"image": inverted.image, "batch": inverted.batch}
