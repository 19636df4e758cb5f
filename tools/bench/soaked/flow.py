from corntriton import flow


@flow
def soaked(request, c):
    if "pages" in request:
        turned = [c.turn(page=page).turned for page in request.each("pages")]
        return {"book": c.bind(pages=turned).book}
    data = request["data"] if "data" in request else c.make(size=request["size"], seed=request["seed"]).data
    scrambled = c.scramble(data=data).scrambled
    if request.wants("scrambled"):
        return {"scrambled": scrambled}
    return {"digest": c.digest(left=scrambled, right=c.mirror(data=data).mirrored).digest}
