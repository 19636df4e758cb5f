from corntriton import flow


@flow
def braid(request, c):
    parts = c.split(pcm=request["pcm"])
    loud = c.louder(x=parts.low, times=request.parameter("times")).y
    soft = c.softer(x=parts.low).y
    if request.parameter("half", False):
        soft = c.half(x=soft).y
    joined = c.join(a=loud, b=c.louder(x=soft).y, note=parts.label)
    result = {"sound": joined.sound, "total": joined.total}
    if "words" in request:
        result["count"] = c.counter(words=request["words"]).count
    return result
